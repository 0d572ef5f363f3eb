from __future__ import annotations

import numpy as np
import pytest

from atesc_core.robustness.detection import SUGGESTIONS, auroc, valley


def test_auroc_by_hand_counts_infinity_as_most_robust():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, np.inf])) == 1.0
    assert auroc(np.array([np.inf, 3.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0.5


def test_auroc_of_nothing_is_a_clear_error():
    with pytest.raises(ValueError, match="0 ID and 2 OOD"):
        auroc(np.array([]), np.array([1.0, 2.0]))


@pytest.mark.parametrize("name", SUGGESTIONS)
def test_suggestions_fall_between_two_clear_groups(name):
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(2, 0.3, 100), random.normal(10, 0.3, 100), ])
    assert 2.5 < SUGGESTIONS[name](scores) < 9.5


def test_valley_survives_images_that_never_flip():
    assert 2.0 <= valley(np.array([1.0, 1.2, 1.1, np.inf, np.inf, 8.0])) <= 8.0


@pytest.mark.parametrize("name", SUGGESTIONS)
def test_suggestions_survive_scores_that_are_all_infinite(name):
    """A teacher that no attack flips failed its run at the first snapshot."""
    assert SUGGESTIONS[name](np.full(10, np.inf)) == pytest.approx(0.0, abs=1e-3)
