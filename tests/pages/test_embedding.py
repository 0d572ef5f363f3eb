"""Embedding: PCA at once, UMAP when it has come, and every epoch on the same ground."""

from __future__ import annotations

import numpy as np
import pytest

from atesc_core.embedding import Status, knn_distance
from atesc_core.runs import Run
from atesc_core.teachers.report import Report
from tests.pages.conftest import Lab, charts, said
from tests.pages.reports import held_job, numbers, report  # noqa: F401 - fixtures
from tests.pages.test_teachers import button


def names(app) -> list[str]:
    return [trace["name"] for trace in charts(app)["map"]["data"] if trace.get("name")]


def test_without_runs_the_page_says_what_to_do(open_page, store):
    app = open_page("embedding")
    assert not app.exception
    assert "No runs yet" in said(app)


def test_pca_is_there_at_once_with_distances(open_page, finished_run: Run, lab_with_runs: Lab, report: Report):  # noqa: F811
    app = open_page("embedding", run=finished_run.id)
    assert not app.exception
    features = lab_with_runs.store.snapshot(finished_run.id, 2).features
    nearer = knn_distance(features, report.ood.features) < knn_distance(features, report.id.features)
    assert f"{100 * nearer.mean():.1f}" in said(app)
    assert "40 ID and 40 OOD test images" in said(app)
    assert any("fragile" in name for name in names(app))
    assert len(numbers(charts(app)["distances"]["data"][0]["y"])) == 2  # epochs


COLOURED = {"domain": "32 synthetic", "score": "32 synthetic", "class": "7"}


@pytest.mark.parametrize("colour", COLOURED)
def test_dots_are_coloured_as_asked(open_page, finished_run: Run, report: Report, colour):  # noqa: F811
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="colour").set_value(colour).run()
    assert not app.exception
    assert COLOURED[colour] in names(app)


def test_points_of_real_images_can_be_pointed_at(open_page, finished_run: Run, report: Report):  # noqa: F811
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="ground").set_value("points").run()
    assert not app.exception
    assert {"ID test", "OOD test"} <= set(names(app))


def test_the_axes_stay_still_from_epoch_to_epoch(open_page, finished_run: Run, report: Report):  # noqa: F811
    app = open_page("embedding", run=finished_run.id)
    before = charts(app)["map"]["layout"]["xaxis"]["range"]
    app.select_slider[0].set_value(1).run()
    assert "epoch 1" in said(app)
    assert charts(app)["map"]["layout"]["xaxis"]["range"] == before


def test_play_goes_through_the_epochs_and_stops(open_page, finished_run: Run, report: Report):  # noqa: F811
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

    def __init__(self, *features):
        pass

    def start(self):
        pass

    def coordinates(self):
        return None

    def status(self):
        return Status("running", "Fitting UMAP to 80 real images", 0.4, 12.0)


class Placed(Coming):
    """A UMAP that has come, and placed this epoch's images."""

    def coordinates(self):
        return np.zeros((40, 2)), np.ones((40, 2))

    def transform(self, features):
        return np.random.default_rng(0).normal(size=(len(features), 2))

    def status(self, features=None):
        return Status("done", "Ready", 1.0, 0.0)


def test_while_umap_comes_the_map_is_pca_and_says_so(open_page, finished_run: Run, report: Report, monkeypatch):  # noqa: F811
    monkeypatch.setattr("pages._parts.feature_map.ReferenceMap", Coming)
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="method").set_value("UMAP").run()
    assert not app.exception
    assert charts(app)["map"]["layout"]["xaxis"]["title"]["text"].startswith("PCA")
    words = app.get("progress")[0].proto.text
    assert "This is PCA until UMAP is there" in words
    assert "12 s left" in words


def test_umap_takes_the_map_when_it_has_come(open_page, finished_run: Run, report: Report, monkeypatch):  # noqa: F811
    monkeypatch.setattr("pages._parts.feature_map.ReferenceMap", Placed)
    app = open_page("embedding", run=finished_run.id)
    app.segmented_control(key="method").set_value("UMAP").run()
    assert not app.exception
    assert charts(app)["map"]["layout"]["xaxis"]["title"]["text"].startswith("UMAP")
    assert not app.get("progress")
