"""The figure of a study."""

from __future__ import annotations

import pandas as pd
import pytest

from atesc_core.figures import theme
from atesc_core.figures.evidence import evidence

NAN = float("nan")
RUNS = pd.DataFrame(
    [
        ("open", "a", "olacc", kind, form, seed, 60.0 + 2 * seed, 90.0 - 10 * seed)
        for kind in ("NTL", "SL")
        for form in ("plain", "ATEsc")
        for seed in (0, 1)
    ]
    + [("close", "b", "oacc", "NTL", form, 0, NAN, NAN) for form in ("plain", "ATEsc")],
    columns=["setting", "pair", "metric", "kind", "form", "seed", "iacc", "other"],
)


def means(figure, metric, kind):
    return [trace for trace in figure.data if trace.meta.get("metric") == metric and trace.meta["teacher"] == kind]


def test_means_and_deviations_are_the_seeds():
    [trace] = means(evidence(RUNS), "olacc", "NTL")
    assert list(trace.y) == [85, 85]
    assert trace.error_y.array == pytest.approx([50**0.5] * 2)
    assert [list(data) for data in trace.customdata] == [["plain", 50**0.5, 2], ["ATEsc", 50**0.5, 2]]


def test_a_case_that_was_not_run_has_its_panel_and_no_dots():
    figure = evidence(RUNS)
    [trace] = means(figure, "oacc", "NTL")
    assert len(trace.y) == 0
    assert [note.text for note in figure.layout.annotations] == ["open-set: IAcc, OLAcc", "close-set: IAcc, OAcc"]


def test_colours_mean_what_they_mean_everywhere():
    figure = evidence(RUNS, "dark")
    assert means(figure, "iacc", "SL")[0].marker.color == theme.DARK_COLOURS["id"]
    assert means(figure, "olacc", "SL")[0].marker.color == theme.DARK_COLOURS["ood"]


def test_without_runs_it_says_so():
    figure = evidence(RUNS.assign(iacc=NAN, other=NAN))
    assert figure.layout.annotations[-1].text == "Not run"


@pytest.mark.parametrize("mode", theme.MODES)
def test_it_is_of_the_house(mode):
    figure = evidence(RUNS, mode)
    assert figure.layout.uirevision == theme.UIREVISION
    assert figure.to_json()
    assert not any(note.font.size for note in figure.layout.annotations)
    uids = [trace.uid for trace in figure.data]
    assert all(uids)
    assert len(set(uids)) == len(uids)
    assert uids == [trace.uid for trace in evidence(RUNS, mode).data]
