"""One selection for both pages, kept in the link; a pressed image opens its inspector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atesc_core.figures.scores import bin_edges
from atesc_core.inspection import inspect, smallest_budget
from atesc_core.runs import DistillationRun, RunStore
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import SCORE_NAMES
from pages.robustness.threshold_view import ImageSplit, _select
from pages.shared.state import selection
from pages.shared.state.selection import Selection
from tests.support.copies import copy_lab
from tests.support.labs import Lab
from tests.support.pages import button, charts, go_to, image_walls, page_text, selection_link
from tests.support.reports import numbers


def text(app) -> str:
    return " ".join(page_text(app).split())


def pictures(app, name: str) -> list[int]:
    return [cell["id"] for cell in image_walls(app).get(name, [])]


# ── the link ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("indices", [(), (0,), (3, 7, 8, 511), tuple(range(0, 20_000, 3))])
def test_a_link_brings_back_what_was_selected(indices):
    kept = Selection(6, indices, 7)
    token = kept.to_token()
    assert Selection.from_token(token, "7") == kept
    assert len(token) < 4000  # a bit an image at most, in six bits a letter


@pytest.mark.parametrize(
    ("token", "image"),
    [
        ("", None),
        ("6", None),
        ("six-eJw", None),
        ("6-%%%", None),
        ("6-AAAA", None),
        (Selection(6, (1,)).to_token(), "one"),
    ],
)
def test_a_damaged_link_is_named(token, image):
    with pytest.raises(ValueError, match="is not a link's selection"):
        Selection.from_token(token, image)


def test_a_damaged_link_leaves_the_page(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", run=finished_run.id, picked="damaged")
    assert not app.exception
    assert "The link's selection cannot be read" in page_text(app)
    assert "picked" not in app.query_params
    assert not pictures(app, "wall selected")


# ── the pages ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("page", "wall"), [("robustness", "wall selected"), ("embedding", "wall map")])
def test_nothing_selected_says_what_to_do(open_page, finished_run: DistillationRun, report: Report, page, wall):
    app = open_page(page, run=finished_run.id)
    assert not app.exception
    assert "look at it closely" in page_text(app)
    assert wall not in image_walls(app)
    assert "Close" not in [button.label for button in app.button]


@pytest.mark.parametrize(
    ("page", "wall", "chart"), [("robustness", "wall selected", "scores"), ("embedding", "wall map", "selected scores")]
)
def test_the_selection_is_in_the_gallery_and_in_the_histogram(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, page, wall, chart
):
    app = open_page(page, **selection_link(finished_run, 3, 7, 11, 99))  # of 32 images
    assert not app.exception
    assert sorted(pictures(app, wall)) == [3, 7, 11]
    strokes = next(trace for trace in charts(app)[chart]["data"] if trace["meta"].get("group") == "selected")
    assert strokes["customdata"] == ["2:3", "2:7", "2:11"]
    scores = lab_with_runs.store.snapshot(finished_run.id, 2).scores["min_eps"][[3, 7, 11]]
    finite = np.isfinite(scores)
    np.testing.assert_allclose(numbers(strokes["x"])[finite], scores[finite])
    button(app, "Clear").click().run()
    assert not pictures(app, wall)
    assert "picked" not in app.query_params


def test_the_selection_goes_along_from_page_to_page(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", **selection_link(finished_run, 3, 7, epoch=1))
    assert app.select_slider[0].value == 1  # the epoch of the selection, though there is a newer one
    app.query_params.clear()
    go_to(app, "embedding")
    app.run()
    assert sorted(pictures(app, "wall map")) == [3, 7]
    assert app.select_slider[0].value == 1
    assert app.query_params["picked"] == Selection(1, (3, 7)).to_token()


def test_another_epoch_shows_the_way_back(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", **selection_link(finished_run, 3, 7, epoch=1))
    app.select_slider[0].set_value(2).run()
    assert not pictures(app, "wall selected")
    assert "2 selected in epoch 1" in page_text(app)
    button(app, "Show epoch 1").click().run()
    assert app.select_slider[0].value == 1
    assert sorted(pictures(app, "wall selected")) == [3, 7]


def test_another_run_has_its_own_selection(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", **selection_link(finished_run, 3, 7))
    app.selectbox(key="run_picker").set_value(lab_with_runs.plain).run()
    assert not pictures(app, "wall selected")
    assert "picked" not in app.query_params
    app.selectbox(key="run_picker").set_value(finished_run.id).run()
    assert sorted(pictures(app, "wall selected")) == [3, 7]


def test_bars_select_their_images_and_strokes_open_theirs(
    finished_run: DistillationRun, lab_with_runs: Lab, monkeypatch
):
    shown = lab_with_runs.store.snapshot(finished_run.id, 2)
    done = []
    monkeypatch.setattr(selection, "select", lambda run, epoch, indices: done.append((epoch, list(indices))))
    monkeypatch.setattr(selection, "inspect", lambda run, epoch, index: done.append((epoch, index)))
    scores = shown.scores["min_eps"]
    split, edges = ImageSplit(finished_run, shown, "min_eps", scores, 4.0, ()), bin_edges("min_eps", [scores])
    _select(split, edges, ("1 to 2", "2 to 3", "2:5"))
    _select(split, edges, ("∞",))
    _select(split, edges, ("2:5",))
    _select(split, edges, ())
    assert done == [
        (2, np.flatnonzero((scores > 1) & (scores <= 3)).tolist()),
        (2, np.flatnonzero(np.isinf(scores)).tolist()),
        (2, 5),
        (2, []),
    ]


# ── the inspector ───────────────────────────────────────────────────────────────────────────────────


def probabilities(app, who: str) -> dict[str, np.ndarray]:
    return {trace["meta"]["series"]: numbers(trace["x"]) / 100 for trace in charts(app)[f"said {who}"]["data"]}


@pytest.mark.parametrize("page", ["robustness", "embedding"])
def test_the_inspector_says_what_the_core_computes(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, page
):
    app = open_page(page, **selection_link(finished_run, 3, 7, image=7))
    assert not app.exception
    store = lab_with_runs.store
    shown = store.snapshot(finished_run.id, 2)
    budget = smallest_budget(shown.scores["min_eps"][7], finished_run.spec.split)
    found = inspect(store, finished_run.id, 2, 7, budget)
    assert "Image 7" in page_text(app)
    assert "epoch 2 of 2" in page_text(app)
    for who, before, after in (
        ("teacher", shown.teacher_probs[7], found.teacher),
        ("student", shown.student_probs[7], found.student),
    ):
        np.testing.assert_allclose(probabilities(app, who)["before"], before, atol=1e-6)
        np.testing.assert_allclose(probabilities(app, who)["after"], after, atol=1e-6)
    mind = "changes its mind" if found.flipped else "keeps its label"
    assert f"Within ε = {budget:.2f}/255 of the image the teacher {mind}." in page_text(app)
    distances = np.sort(np.linalg.norm(report.ood.features - shown.features[7], axis=1))[:6]
    assert " ".join(f"{distance:.1f}" for distance in distances) in text(app)
    ranks = app.dataframe[0].value
    scores = shown.scores.values()
    assert ranks["score"].tolist() == [SCORE_NAMES[name] for name in shown.scores]
    assert ranks["more robust than"].tolist() == [f"{100 * np.mean(own < own[7]):.1f} %" for own in scores]
    button(app, "Close").click().run()
    assert "Image 7" not in page_text(app)
    assert "image" not in app.query_params
    assert "picked" in app.query_params  # what was selected stays


def test_a_larger_budget_is_attacked_anew(open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report):
    app = open_page("robustness", **selection_link(finished_run, image=7))
    budget = next(slider for slider in app.slider if slider.key.startswith("budget"))
    budget.set_value(24.0).run()
    expected = inspect(lab_with_runs.store, finished_run.id, 2, 7, 24.0)
    np.testing.assert_allclose(probabilities(app, "teacher")["after"], expected.teacher, atol=1e-6)


def test_a_student_that_is_not_kept_is_not_shown(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, tmp_path: Path, monkeypatch
):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    RunStore(tmp_path / "lab").student_file(finished_run.id, 1).unlink()
    app = open_page("robustness", **selection_link(finished_run, epoch=1, image=7))
    assert "only that of epoch 2 is kept" in page_text(app)
    assert list(probabilities(app, "student")) == ["before"]
    before = lab_with_runs.store.snapshot(finished_run.id, 1).student_probs[7]
    np.testing.assert_allclose(probabilities(app, "student")["before"], before, atol=1e-6)


def test_a_large_model_is_asked_in_a_process_of_its_own(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, held_job, tmp_path: Path, monkeypatch
):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr("atesc_core.inspection.takes_long", lambda image_side, steps: True)
    asked = []
    monkeypatch.setattr("atesc_core.jobs.find", lambda key: held_job if asked else None)
    monkeypatch.setattr("atesc_core.jobs.start", lambda *arguments, queue: asked.append(arguments) or held_job)
    app = open_page("robustness", **selection_link(finished_run, image=7))
    assert not app.exception
    assert "Attacking this image" in app.get("progress")[0].proto.text
    assert list(probabilities(app, "teacher")) == ["before"]
    key, module, run_id, epoch, index, epsilon, *_ = asked[0]
    assert (module, run_id, epoch, index) == ("atesc_core.inspection", finished_run.id, "2", "7")
    inspect(lab_with_runs.store, run_id, 2, 7, float(epsilon)).save(Path(key))
    app.run()
    assert not app.get("progress")
    assert list(probabilities(app, "teacher")) == ["before", "after"]
