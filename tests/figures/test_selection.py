"""Selected samples in the histogram, and what is said of one of them."""

from __future__ import annotations

import numpy as np
import pytest

from atesc_core import figures
from atesc_core.figures.probabilities import MAX_CLASSES, probabilities
from atesc_core.figures.scores import bin_counts, bin_names
from atesc_core.figures.selection import in_bins, mark_samples

EDGES = np.arange(5.0)
SCORES = np.array([0.0, 1.0, 1.5, 2.0, 7.0, np.inf, -3.0])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["up to 1"], [0, 1, 6]),
        (["1 to 2"], [2, 3]),
        (["above 3"], [4]),
        (["∞"], [5]),
        ([], []),
        (["nonsense"], []),
        (["1 to 2", "∞"], [2, 3, 5]),
    ],
)
def test_a_bins_samples_are_those_that_it_counts(names, found):
    assert in_bins(SCORES, EDGES, names).tolist() == found


def test_all_bins_hold_every_sample_once():
    random = np.random.default_rng(0)
    values = np.append(random.normal(2, 3, 500), [np.inf, np.inf])
    parts = [len(in_bins(values, EDGES, [name])) for name in bin_names(EDGES)]
    assert parts == bin_counts(values, EDGES).tolist()
    assert sum(parts) == len(values)


def test_strokes_stand_at_their_scores():
    figure = figures.scores(SCORES, 1.0, edges=EDGES)
    mark_samples(figure, SCORES[[2, 4, 5]], ["6:2", "6:4", "6:5"], EDGES)
    strokes = figure.data[-1]
    assert list(strokes.x) == [1.5, 4.0, 5.5]  # beyond the edges at the nearer end, ∞ in its own bin
    assert list(strokes.customdata) == ["6:2", "6:4", "6:5"]
    assert strokes.name == "3 selected"


def test_probabilities_before_and_after():
    figure = probabilities([0.75, 0.25], [0.125, 0.875], class_names=["no", "yes"], role="NTL")
    assert [list(bar.x) for bar in figure.data] == [[75, 25], [12.5, 87.5]]
    assert [list(bar.y) for bar in figure.data] == [["no", "yes"]] * 2


def test_what_is_not_known_is_not_drawn():
    assert len(probabilities([0.75, 0.25], None, class_names=["no", "yes"]).data) == 1


def test_of_many_classes_those_that_matter_are_drawn():
    before, after = np.zeros(100), np.zeros(100)
    before[3], after[97] = 1, 1
    figure = probabilities(before, after, class_names=list(map(str, range(100))))
    assert len(figure.data[0].y) == MAX_CLASSES
    assert {"3", "97"} <= set(figure.data[0].y)
