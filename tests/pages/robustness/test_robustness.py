"""Robustness: everything on the page follows the threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from atesc_core.robustness.detection import auroc, rates
from atesc_core.robustness.thresholds import SUGGESTIONS, at_share
from atesc_core.runs import DistillationRun, RunStore
from atesc_core.runs.log import RunLog
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import threshold_text
from pages.shared.data.snapshots import _snapshot
from tests.support.copies import copy_lab
from tests.support.labs import Lab, logged_run
from tests.support.pages import button, charts, follow_link, image_walls, page_link, page_text, threshold_slider
from tests.support.reports import numbers


def text(app) -> str:
    return " ".join(page_text(app).split())


def bars(app) -> dict[str, int]:
    """group -> images in the histogram's bars."""
    return {
        trace["meta"]["group"]: int(numbers(trace["y"]).sum())
        for trace in charts(app)["scores"]["data"]
        if trace["type"] == "bar"
    }


def test_without_runs_the_page_says_what_to_do(open_page, store):
    app = open_page("robustness")
    assert not app.exception
    assert "No runs yet" in page_text(app)
    assert not charts(app)


def test_a_run_without_images_yet_says_when_they_come(open_page, store):
    store.create(RunSpec(teacher="mnistm-badnet_sq-ntl"))
    app = open_page("robustness")
    assert not app.exception
    assert "No synthetic images yet" in page_text(app)


def test_the_numbers_are_those_of_the_snapshot_and_the_report(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", run=finished_run.id)
    assert not app.exception
    shown = lab_with_runs.store.snapshot(finished_run.id, 2)
    fragile = shown.scores["min_eps"] <= shown.threshold
    assert f"Fragile {100 * fragile.mean():.1f} % {fragile.sum()} of 32 synthetic · epoch 2" in text(app)
    assert bars(app) == {"fragile": fragile.sum(), "robust": (~fragile).sum()}
    robust_id, robust_ood = (side.min_eps > shown.threshold for side in (report.id, report.ood))
    precision = 100 * robust_ood.sum() / (robust_id.sum() + robust_ood.sum())
    assert f"AUROC ? {report.auroc('min_eps'):.3f} real validation images: 40 ID, 40 OOD" in text(app)
    assert f"Precision ? {precision:.1f} %" in text(app)
    assert f"Recall ? {100 * robust_ood.mean():.1f} %" in text(app)


def test_moving_the_line_moves_everything(open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report):
    app = open_page("robustness", run=finished_run.id)
    values = lab_with_runs.store.snapshot(finished_run.id, 2).scores["min_eps"]
    line = round(float(np.median(values[np.isfinite(values)])) + 0.05, 1)
    threshold_slider(app).set_value(line).run()
    assert not app.exception
    fragile = values <= line
    assert bars(app) == {"fragile": fragile.sum(), "robust": (~fragile).sum()}
    assert f"Fragile {100 * fragile.mean():.1f} %" in text(app)
    assert f"nearest the threshold first · {min(32, fragile.sum())} of {fragile.sum()}" in text(app)
    sides = {trace["meta"]["group"]: trace for trace in charts(app)["sides"]["data"]}
    assert sides["fragile"]["name"] == f"{fragile.sum()} fragile"
    nearest = values[fragile].max()
    assert image_walls(app)["wall fragile"][0]["caption"] == f"{nearest:.1f}"


def test_a_group_may_be_empty(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", run=finished_run.id)
    threshold_slider(app).set_value(0.0).run()
    assert not app.exception
    assert "No image on this side of the threshold." in page_text(app)


@pytest.mark.parametrize("score", ["margin", "kl", "random", "energy"])
def test_another_score_starts_at_its_own_otsu_threshold(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, score: str
):
    app = open_page("robustness", run=finished_run.id)
    app.segmented_control(key=f"score {finished_run.id}").set_value(score).run()
    assert not app.exception
    values = lab_with_runs.store.snapshot(finished_run.id, 2).scores[score]
    fragile = values <= SUGGESTIONS["otsu"](values)
    assert bars(app) == {"fragile": fragile.sum(), "robust": (~fragile).sum()}


def test_a_suggestion_can_be_taken(open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report):
    app = open_page("robustness", run=finished_run.id)
    app.button(key="suggest share").click().run()
    values = lab_with_runs.store.snapshot(finished_run.id, 2).scores["min_eps"]
    assert bars(app)["fragile"] == (values <= SUGGESTIONS["share"](values)).sum()


def choose(app, run: DistillationRun, score: str) -> None:
    app.segmented_control(key=f"score {run.id}").set_value(score).run()
    assert not app.exception


def test_a_suggestion_without_enough_images_says_where_to_ask_for_more(
    open_page, finished_run: DistillationRun, report: Report
):
    """The button said that it needs 200 images, and not how a run comes to have them."""
    auto = open_page("robustness", run=finished_run.id).button(key="suggest auto")
    assert auto.disabled
    assert "This run keeps 32 images an epoch; for another run: Images kept an epoch" in auto.help
    assert "--set snapshot_images=200" in auto.help


def test_detection_says_what_it_is_of(open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report):
    app = open_page("robustness", run=finished_run.id)
    shown = lab_with_runs.store.snapshot(finished_run.id, 2)
    is_ood = report.oracle(shown.features) > 0
    assert (
        f"robust as a sign of OOD, by min ε · 40 ID and 40 OOD real validation images · {(~is_ood).sum()} ID and "
        f"{is_ood.sum()} OOD synthetic images, by the oracle, epoch 2"
    ) in text(app)
    curves = {trace["meta"]["images"]: trace for trace in charts(app)["roc"]["data"] if "group" not in trace["meta"]}
    assert f"AUROC <b>{report.auroc('min_eps'):.3f}</b>" in curves["real"]["name"]
    table = app.dataframe[0].value.set_index("score")
    assert list(table.index) == ["min ε", "margin", "KL", "random", "confidence", "energy", "GMM", "oracle"]
    assert table.loc["oracle", "real"] == pytest.approx(report.auroc("oracle"))
    if 0 < is_ood.sum() < len(is_ood):
        own = shown.scores["kl"]
        assert table.loc["KL", "synthetic"] == pytest.approx(auroc(own[~is_ood], own[is_ood]))


def test_the_rates_on_synthetic_images_follow_the_line(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", run=finished_run.id)
    threshold_slider(app).set_value(1.5).run()
    shown = lab_with_runs.store.snapshot(finished_run.id, 2)
    is_ood = report.oracle(shown.features) > 0
    found = rates(shown.scores["min_eps"], is_ood, 1.5)
    precision = "–" if found.precision is None else f"{100 * found.precision:.1f}"
    assert f"Precision, synthetic {precision} % OOD by the oracle, of {found.robust} robust synthetic images" in text(
        app
    )
    dot = next(
        trace for trace in charts(app)["roc"]["data"] if trace["meta"] == {"images": "real", "group": "threshold"}
    )
    assert numbers(dot["y"])[0] == pytest.approx(100 * (report.ood.min_eps > 1.5).mean())


def test_the_oracle_is_shown_and_can_split_nothing(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", run=finished_run.id)
    choose(app, finished_run, "oracle")
    is_ood = report.oracle(lab_with_runs.store.snapshot(finished_run.id, 2).features) > 0
    assert bars(app) == {"fragile": (~is_ood).sum(), "robust": is_ood.sum()}
    assert page_link(app, "Use for the next run").disabled


def test_a_comparator_goes_to_the_next_run_at_an_equal_rate(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", run=finished_run.id)
    choose(app, finished_run, "random")
    shown = lab_with_runs.store.snapshot(finished_run.id, 2)
    app.button(key="suggest same share").click().run()
    assert abs(bars(app)["fragile"] - shown.fragile.sum()) <= 1
    [label] = [link.proto.label for link in app.get("page_link") if link.proto.label.endswith(" for the next run")]
    follow_link(app, label)
    assert not app.exception
    spec = RunSpec.from_token(app.query_params["spec"])
    assert spec.split.score == "random"
    assert spec.split.threshold == pytest.approx(at_share(shown.scores["random"], shown.fragile.mean()), abs=1e-6)


@pytest.mark.parametrize(("score", "threshold"), [("min_eps", "-5"), ("random", "1.5")])
def test_a_threshold_off_the_scale_of_the_shown_score_is_doubted_for_the_next_run(
    open_page, finished_run: DistillationRun, report: Report, score, threshold
):
    """Only of a live run, and of its own score; the link said "Use -5.00", with a hyphen."""
    own = score == finished_run.spec.split.score
    parameters = {"threshold" if own else f"threshold.{score}": threshold}
    app = open_page("robustness", run=finished_run.id, **parameters)
    if not own:
        choose(app, finished_run, score)
    assert not app.exception
    assert f"is off the scale of {score}" in " ".join(each.value for each in app.warning)
    assert page_link(app, f"Use {threshold_text(float(threshold))} for the next run")
    assert threshold_text(-5.0) == "−5.00"


def test_a_run_of_an_earlier_version_has_the_scores_it_has(
    open_page, finished_run: DistillationRun, report: Report, monkeypatch
):
    load = RunStore.snapshot
    monkeypatch.setattr(
        RunStore,
        "snapshot",
        lambda self, *which: replace(
            (own := load(self, *which)), scores={name: own.scores[name] for name in ("min_eps", "margin", "kl")}
        ),
    )
    _snapshot.clear()
    app = open_page("robustness", run=finished_run.id)
    assert not app.exception
    assert list(app.dataframe[0].value["score"]) == ["min ε", "margin", "KL", "oracle"]
    _snapshot.clear()


def test_an_earlier_epoch_shows_its_own_images(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("robustness", run=finished_run.id)
    app.select_slider[0].set_value(1).run()
    assert "synthetic · epoch 1" in text(app)
    assert sum(bars(app).values()) == 32


def test_without_real_images_the_split_stands(open_page, lab_with_runs: Lab, held_job, tmp_path: Path, monkeypatch):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab", "cache")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    app = open_page("robustness", run=lab_with_runs.atesc)
    assert not app.exception
    assert "AUROC" not in text(app)
    assert "12 s left" in app.get("progress")[0].proto.text
    assert sum(bars(app).values()) == 32


def test_a_browser_that_has_not_received_a_move_does_not_undo_it(
    open_page, finished_run: DistillationRun, report: Report
):
    """A slider whose browser had not received the number typed beside it sent its old value, and the threshold went
    back there: pressed soon after, "Use for the next run" used that."""
    app = open_page("robustness", run=finished_run.id)

    def number():
        return next(widget for widget in app.number_input if widget.key.startswith("type"))

    old = threshold_slider(app).value
    number().set_value(6.5).run()
    threshold_slider(app).set_value(old).run()  # as a browser does that has not received it
    assert app.query_params["threshold"] == "6.5"
    assert threshold_slider(app).value == number().value == 6.5
    threshold_slider(app).set_value(3.5).run()
    assert threshold_slider(app).value == number().value == 3.5
    number().set_value(6.5).run()
    assert threshold_slider(app).value == number().value == 3.5
    app.button(key="suggest otsu").click().run()
    suggestion = threshold_slider(app).value
    assert suggestion == number().value != 3.5
    for widget in (threshold_slider(app), number()):
        widget.set_value(3.5).run()
        assert threshold_slider(app).value == number().value == suggestion


def test_the_next_run_gets_the_line(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", run=finished_run.id)
    threshold_slider(app).set_value(3.5).run()
    follow_link(app, "Use 3.50 for the next run")
    spec = RunSpec.from_token(app.query_params["spec"])
    assert spec == finished_run.spec.replaced({"split.threshold": 3.5})


def test_a_finished_run_cannot_be_changed(open_page, finished_run: DistillationRun, report: Report):
    assert button(open_page("robustness", run=finished_run.id), "Apply to this run") is None


def test_a_live_run_takes_the_line(open_page, lab_with_runs: Lab, report: Report, tmp_path: Path, monkeypatch):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr(RunStore, "_mark_interrupted", lambda self: None)
    store = RunStore(tmp_path / "lab")
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (lab_with_runs.atesc,))
    app = open_page("robustness", run=lab_with_runs.atesc)
    threshold_slider(app).set_value(2.5).run()
    button(app, "Apply to this run").click().run()
    assert not app.exception
    rows = store.database.read("SELECT pending_threshold FROM runs WHERE id = ?", lab_with_runs.atesc)
    assert rows[0]["pending_threshold"] == 2.5
    assert "Threshold 2.50 is applied from the next round" in text(app)
    app.segmented_control(key=f"score {lab_with_runs.atesc}").set_value("kl").run()
    assert button(app, "Apply to this run").disabled  # it is not this run's score


def test_a_threshold_that_is_the_runs_already_is_not_applied_again(store, monkeypatch):
    """It was accepted, and logged as set by hand."""
    monkeypatch.setattr(RunStore, "_mark_interrupted", lambda self: None)
    run_id = logged_run(store, (50, 90), status="running", **{"split.threshold": 4.0})
    store.set_threshold(run_id, 4.5)

    def draw(run_id, threshold):
        from pages.shared.data.store import run_store
        from pages.shared.ui.apply_threshold import apply_controls

        apply_controls(run_store().get(run_id), threshold)

    for threshold, disabled in ((4.5, True), (4.0, False)):
        app = AppTest.from_function(draw, args=(run_id, threshold)).run()
        assert not app.exception
        assert button(app, "Apply to this run").disabled == disabled


@pytest.fixture
def one_group(lab_with_runs: Lab, tmp_path: Path, monkeypatch) -> DistillationRun:
    """The ATEsc run, as if its rule had found one group."""
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    store = RunStore(tmp_path / "lab")
    run = store.get_distillation(lab_with_runs.atesc)
    for epoch in store.snapshot_epochs(run.id):
        snapshot = store.snapshot(run.id, epoch)
        everything = np.ones_like(snapshot.fragile)
        RunLog(store, run).write_snapshot(replace(snapshot, threshold=np.inf, fragile=everything))
    RunLog(store, run).write_threshold(2, 1, np.inf, "auto")
    with store.database.write() as connection:
        connection.execute("UPDATE rounds SET threshold = ? WHERE run = ? AND epoch > 1", (np.inf, run.id))
    return run


def test_one_group_has_no_line(open_page, one_group: DistillationRun, report: Report):
    app = open_page("robustness", run=one_group.id)
    assert not app.exception
    assert bars(app)["robust"] == 0
    assert "Fragile 100.0 % 32 of 32" in text(app)
    notes = [note["text"] for note in charts(app)["scores"]["layout"]["annotations"]]
    assert "one group: no image is held back" in notes
    assert next(widget for widget in app.number_input if widget.key.startswith("type")).value is None
    assert "this run's one group" in [each.label for each in app.button]
    threshold_slider(app).set_value(1.5).run()
    assert not app.exception
    assert app.query_params["threshold"] == "1.5"
    app.button(key="suggest run").click().run()
    assert app.query_params["threshold"] == "inf"
    assert bars(app)["robust"] == 0


@pytest.mark.parametrize("page", ["distill", "embedding", "compare", "figures"])
def test_every_page_shows_a_run_with_one_group(open_page, one_group: DistillationRun, report: Report, page: str):
    app = open_page(page, **{"runs" if page == "compare" else "run": one_group.id})
    assert not app.exception
    if page == "distill":
        assert "one group: no image is held back, from the synthetic images alone" in text(app)
        assert "One group: no image is held back." in text(app)
