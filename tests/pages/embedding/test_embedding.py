"""Embedding: PCA at once, UMAP when it has come, and every epoch on the same ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atesc_core.embedding import PCAMap, knn_distance
from atesc_core.runs import DistillationRun
from atesc_core.runs.students import cached_features
from atesc_core.runs.students.__main__ import compute_missing, features_of_run
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.report import Report
from tests.support.copies import copy_lab
from tests.support.held_job import HeldJob
from tests.support.labs import CONTROL, Lab
from tests.support.pages import button, charts, page_link, page_text
from tests.support.reports import numbers, save_report


def names(app) -> list[str]:
    return [trace["name"] for trace in charts(app)["map"]["data"] if trace.get("name")]


def test_without_runs_the_page_says_what_to_do(open_page, store):
    app = open_page("embedding")
    assert not app.exception
    assert "No runs yet" in page_text(app)


def test_pca_is_there_at_once_with_distances(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, report: Report
):
    app = open_page("embedding", run=finished_run.id)
    assert not app.exception
    features = lab_with_runs.store.snapshot(finished_run.id, 2).features
    nearer = knn_distance(features, report.ood.features) < knn_distance(features, report.id.features)
    assert f"{100 * nearer.mean():.1f}" in page_text(app)
    assert "40 ID and 40 OOD validation images" in page_text(app)
    assert any("fragile" in name for name in names(app))
    assert len(numbers(charts(app)["distances"]["data"][0]["y"])) == 2  # epochs


def test_images_are_shown_between_id_and_ood_at_the_epoch_of_the_map(
    open_page, finished_run: DistillationRun, report: Report
):
    app = open_page("embedding", run=finished_run.id, epoch="1")
    assert not app.exception
    figure = charts(app)[f"batchnorm-{finished_run.id}"]
    assert len(figure["data"]) == 5  # four layers, and what R_BN asks for
    assert [shape["x0"] for shape in figure["layout"]["shapes"] if shape["x0"] == shape["x1"]] == [1]


COLOURED = {"domain": "32 synthetic", "score": "32 synthetic", "class": "7"}


@pytest.mark.parametrize("colour", COLOURED)
def test_dots_are_coloured_as_asked(open_page, finished_run: DistillationRun, report: Report, colour):
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="colour").set_value(colour).run()
    assert not app.exception
    assert COLOURED[colour] in names(app)


def test_points_of_real_images_can_be_pointed_at(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="ground").set_value("points").run()
    assert not app.exception
    assert {"ID validation", "OOD validation"} <= set(names(app))


def test_the_axes_stay_still_from_epoch_to_epoch(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("embedding", run=finished_run.id)
    before = charts(app)["map"]["layout"]["xaxis"]["range"]
    app.select_slider[0].set_value(1).run()
    assert "epoch 1" in page_text(app)
    assert charts(app)["map"]["layout"]["xaxis"]["range"] == before


def test_play_goes_through_the_epochs_and_stops(open_page, finished_run: DistillationRun, report: Report):
    app = open_page("embedding", run=finished_run.id)
    button(app, "Play").click().run()
    seen = [app.select_slider[0].value]
    for _ in range(3):
        app.run()
        seen.append(app.select_slider[0].value)
    assert seen == sorted(seen)
    assert seen[-1] == 2
    assert button(app, "Play")


class Coming:
    """A UMAP that is on its way."""

    job: HeldJob | None = HeldJob(message="Fitting UMAP to 80 real images", share=0.4, eta_s=12.0)

    def __init__(self, *features):
        pass

    def start(self):
        return self.job

    def restart(self):
        return self.job

    def coordinates(self):
        return None


class Placed(Coming):
    """A UMAP that has come, and placed this epoch's images."""

    job = None

    def coordinates(self):
        return np.zeros((40, 2)), np.ones((40, 2))

    def transform(self, features):
        return np.random.default_rng(0).normal(size=(len(features), 2))


def test_while_umap_comes_the_map_is_pca_and_says_so(
    open_page, finished_run: DistillationRun, report: Report, monkeypatch
):
    monkeypatch.setattr("pages.embedding.feature_space.ReferenceMap", Coming)
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="method").set_value("UMAP").run()
    assert not app.exception
    assert charts(app)["map"]["layout"]["xaxis"]["title"]["text"].startswith("PCA")
    words = app.get("progress")[0].proto.text
    assert "This is PCA until UMAP is there" in words
    assert "12 s left" in words


def test_umap_takes_the_map_when_it_has_come(open_page, finished_run: DistillationRun, report: Report, monkeypatch):
    monkeypatch.setattr("pages.embedding.feature_space.ReferenceMap", Placed)
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="method").set_value("UMAP").run()
    assert not app.exception
    assert charts(app)["map"]["layout"]["xaxis"]["title"]["text"].startswith("UMAP")
    assert not app.get("progress")


# ── two maps ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def both_reports(lab_with_runs: Lab, report: Report) -> tuple[Report, Report]:
    """In the lab with runs: the NTL teacher is measured, and the SL one."""
    return report, save_report(lab_with_runs.runs_dir, CONTROL)


def switch(app):
    return app.toggle(key="two maps")


def nearer(lab: Lab, run_id: str, epoch: int, real: Report) -> float:
    features = lab.store.snapshot(run_id, epoch).features
    return 100 * (knn_distance(features, real.ood.features) < knn_distance(features, real.id.features)).mean()


def test_the_control_stands_beside_an_ntl_run(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports
):
    app = open_page("embedding", run=finished_run.id)
    assert "second map" not in charts(app)
    switch(app).set_value(True).run()
    assert not app.exception
    assert app.query_params["second"] == lab_with_runs.control  # in the link: another browser shows the same two
    shown = charts(app)
    first, second = shown["map"], shown["second map"]
    assert [axis["layout"]["xaxis"]["title"]["text"] for axis in (first, second)] == ["PCA 1 (a.u.)"] * 2
    assert "the feature space of its own teacher" in page_text(app)
    lines = {trace["name"]: trace for trace in shown["drift"]["data"] if "markers" in trace["mode"]}
    for name, run_id, real in zip(
        ("NTL teacher, ATEsc", "SL teacher, plain"), (finished_run.id, lab_with_runs.control), both_reports, strict=True
    ):
        expected = [nearer(lab_with_runs, run_id, epoch, real) for epoch in (1, 2)]
        np.testing.assert_allclose(numbers(lines[name]["y"]), expected)
        assert f"{expected[1]:.1f}" in page_text(app)  # its tile, at the epoch that is shown
    switch(app).set_value(False).run()
    assert "second" not in app.query_params
    assert "second map" not in charts(app)


def epochs_of(app) -> list[str]:
    """The epochs that the two maps' points are of."""
    found = []
    for name in ("map", "second map"):
        points = [
            point
            for trace in charts(app)[name]["data"]
            for point in trace.get("customdata") or []
            if isinstance(trace.get("customdata"), list)
        ]
        found.append({str(point[0]).partition(":")[0] for point in points})
    return found


def test_one_control_scrubs_both(open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports):
    app = open_page("embedding", run=finished_run.id, second=lab_with_runs.control)
    assert epochs_of(app) == [{"2"}, {"2"}]
    axes = [charts(app)[name]["layout"]["yaxis"]["range"] for name in ("map", "second map")]
    [slider] = app.select_slider
    slider.set_value(1).run()
    assert epochs_of(app) == [{"1"}, {"1"}]
    assert [charts(app)[name]["layout"]["yaxis"]["range"] for name in ("map", "second map")] == axes
    assert charts(app)["drift"]["layout"]["shapes"][0]["x0"] == 1


def test_any_run_can_stand_beside_and_the_two_can_be_swapped(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports
):
    app = open_page("embedding", run=finished_run.id, second=lab_with_runs.control)
    app.selectbox(key="second run picker").set_value(lab_with_runs.plain).run()
    assert app.query_params["second"] == lab_with_runs.plain
    assert "NTL teacher, plain" in [trace["name"] for trace in charts(app)["drift"]["data"]]
    button(app, "Swap").click().run()
    assert not app.exception
    assert (app.query_params["run"], app.query_params["second"]) == (lab_with_runs.plain, finished_run.id)


def test_without_a_control_the_page_says_what_to_start(
    open_page, finished_run: DistillationRun, both_reports, monkeypatch
):
    monkeypatch.setattr("pages.embedding.second_run.counterpart", lambda *arguments: None)
    app = open_page("embedding", run=finished_run.id, second="other")
    assert not app.exception
    assert "No run of an SL teacher" in page_text(app)
    assert "map" in charts(app)
    assert "second map" not in charts(app)
    link = page_link(app, f"Distil {CONTROL}")
    spec = RunSpec.from_token(link.query_string.partition("spec=")[2])
    assert spec == finished_run.spec.replaced({"teacher": CONTROL, "escape.kind": "none"})
    form = open_page("distill", spec=spec.to_token())
    assert next(box for box in form.selectbox if box.label == "Teacher").value == CONTROL


def test_a_link_to_a_run_that_is_gone_says_so(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports
):
    app = open_page("embedding", run=finished_run.id, second="zzzzzzzz")
    assert not app.exception
    assert "There is no run 'zzzzzzzz' to compare with this one" in page_text(app)
    assert app.query_params["second"] == lab_with_runs.control


def test_two_runs_of_one_teacher_wait_for_one_measurement(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, held_job, tmp_path: Path, monkeypatch
):
    """Two bars for one measurement were two widgets of one key, which Streamlit refuses."""
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab", "cache")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    app = open_page("embedding", run=finished_run.id, second=lab_with_runs.plain)
    assert not app.exception
    [bar] = app.get("progress")
    assert "Measuring mnistm-badnet_sq-ntl on real validation images" in bar.proto.text


def test_both_maps_are_of_one_method(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports, monkeypatch
):
    """A UMAP beside a PCA would look like a difference between the teachers."""
    made = []

    class First(Placed):
        """The UMAP of one of the two has come."""

        def coordinates(self):
            return super().coordinates() if self.own == made[0] else None

        def __init__(self, id_features, *rest):
            self.own = float(id_features.sum())
            made.append(self.own)

        def start(self):
            return Coming.job

    monkeypatch.setattr("pages.embedding.feature_space.ReferenceMap", First)
    app = open_page("embedding", run=finished_run.id, second=lab_with_runs.control)
    app.segmented_control(key="method").set_value("UMAP").run()
    assert not app.exception
    for name in ("map", "second map"):
        assert charts(app)[name]["layout"]["xaxis"]["title"]["text"].startswith("PCA")
    monkeypatch.setattr("pages.embedding.feature_space.ReferenceMap", Placed)
    app.run()
    for name in ("map", "second map"):
        assert charts(app)[name]["layout"]["xaxis"]["title"]["text"].startswith("UMAP")


# ── the student's features ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def seen_by_students(lab_with_runs: Lab, both_reports) -> Lab:
    """Every run's last student has seen the real images and its own."""
    for run_id in (lab_with_runs.atesc, lab_with_runs.control):
        compute_missing(lab_with_runs.store, run_id, features_of_run(lab_with_runs.store, run_id))
    return lab_with_runs


def test_the_students_map_is_of_its_last_student(
    open_page, finished_run: DistillationRun, seen_by_students: Lab, both_reports
):
    lab, (real, _) = seen_by_students, both_reports
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="link features").set_value("student").run()
    assert not app.exception
    assert app.query_params["features"] == "student"
    assert not app.get("progress")
    words = " ".join(page_text(app).split())
    assert "features of the student of epoch 2" in words
    assert "go through one student, the last that is kept" in words
    sets = {"id": real.id.images, "ood": real.ood.images, 2: lab.store.snapshot(finished_run.id, 2).images}
    own = {name: view.read() for name, view in cached_features(lab.store, finished_run.id, sets)[1].items()}
    nearer = 100 * (knn_distance(own[2], own["ood"]) < knn_distance(own[2], own["id"])).mean()
    assert f"{nearer:.1f}" in words
    expected = PCAMap.fit(own["id"], own["ood"]).transform(own[2])
    drawn = [trace for trace in charts(app)["map"]["data"] if trace.get("name", "").endswith(("fragile", "robust"))]
    places = {
        point[0]: place
        for trace in drawn
        for point, place in zip(
            trace["customdata"], zip(numbers(trace["x"]), numbers(trace["y"]), strict=True), strict=True
        )
    }
    np.testing.assert_allclose([places[f"2:{index}"] for index in range(len(expected))], expected, atol=1e-4)


def test_two_students_side_by_side(open_page, finished_run: DistillationRun, seen_by_students: Lab):
    app = open_page("embedding", run=finished_run.id, second=seen_by_students.control, features="student")
    assert not app.exception
    assert {"map", "second map", "drift"} <= charts(app).keys()
    assert "the feature space of its own student" in page_text(app)


def test_while_the_students_features_come_the_page_says_how_far_they_are(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, both_reports, held_job
):
    app = open_page("embedding", run=lab_with_runs.plain, features="student")
    assert not app.exception
    assert "Features of the student" in app.get("progress")[0].proto.text
    assert "map" not in charts(app)
    button(app, "Cancel").click().run()
    assert "was cancelled" in page_text(app)
    assert button(app, "Start again")
    app.segmented_control(key="link features").set_value("teacher").run()
    assert "map" in charts(app)
