"""The students' side of a selection: by epoch, what they say of exactly these images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from atesc_core.runs import DistillationRun, RunStore
from atesc_core.runs.students import agreement, cached_probabilities
from atesc_core.runs.students.__main__ import compute_missing
from atesc_core.teachers.report import Report
from tests.support.copies import copy_lab
from tests.support.held_job import HeldJob
from tests.support.labs import Lab
from tests.support.pages import button, charts, page_text, selection_link
from tests.support.reports import numbers

PAGES = pytest.mark.parametrize("page", ["robustness", "embedding"])


@pytest.fixture
def own_lab(finished_run: DistillationRun, lab_with_runs: Lab, report: Report, tmp_path: Path, monkeypatch) -> RunStore:
    """A copy of the lab of the finished run, which the app now shows and may be changed; no student was asked yet."""
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    shutil.rmtree(tmp_path / "lab" / "cache" / "students", ignore_errors=True)
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    return RunStore(tmp_path / "lab")


class Jobs:
    """Processes that are started, and stay as far as they are."""

    def __init__(self):
        self.asked: list[tuple[str, ...]] = []
        self.job = HeldJob(share=0.5, message="the student of epoch 2", eta_s=3.0)

    def find(self, key: str) -> HeldJob | None:
        return self.job if self.asked else None

    def start(self, *arguments: str, queue: str) -> HeldJob:
        self.asked.append(arguments)
        self.job.state = "running"
        return self.job


@pytest.fixture
def jobs(monkeypatch) -> Jobs:
    jobs = Jobs()
    monkeypatch.setattr("atesc_core.jobs.find", jobs.find)
    monkeypatch.setattr("atesc_core.jobs.start", jobs.start)
    return jobs


def ask(store: RunStore, run: DistillationRun, epoch: int) -> dict[int, np.ndarray]:
    """Every student about an epoch's images, here and now."""
    outputs = cached_probabilities(store, run.id, store.snapshot(run.id, epoch))
    compute_missing(store, run.id, [("", output) for output in outputs.values()])
    return {student: output.read() for student, output in outputs.items()}


def curve(app, images: str, series: str) -> tuple[list[int], np.ndarray]:
    """Epochs of the students, per cent."""
    line = next(
        trace
        for trace in charts(app)["agreement"]["data"]
        if (trace["meta"]["images"], trace["meta"]["series"]) == (images, series)
    )
    return numbers(line["x"]).tolist(), numbers(line["y"])


@PAGES
def test_without_a_selection_there_is_no_curve_and_nobody_is_asked(
    open_page, own_lab, finished_run: DistillationRun, jobs, page
):
    app = open_page(page, run=finished_run.id)
    assert not app.exception
    assert "agreement" not in charts(app)
    assert not jobs.asked


@PAGES
def test_the_curve_is_of_exactly_these_images(open_page, own_lab, finished_run: DistillationRun, page):
    said_by, shown = ask(own_lab, finished_run, 2), own_lab.snapshot(finished_run.id, 2)
    labels = shown.teacher_probs.argmax(1)
    app = open_page(page, **selection_link(finished_run, 3, 7, 11))
    assert not app.exception
    for images, chosen in (("chosen", [3, 7, 11]), ("all", None)):
        expected = agreement(said_by, labels, chosen)
        for series in ("agreement", "confidence"):
            epochs, values = curve(app, images, series)
            assert epochs == [1, 2]
            np.testing.assert_allclose(values, expected[series], atol=1e-3)
    words = " ".join(page_text(app).split())
    assert "3 selected of 32 synthetic images of epoch 2; agreement with the teacher, not accuracy" in words
    assert not app.get("progress")
    button(app, "Clear").click().run()
    assert "agreement" not in charts(app)


def test_until_the_students_have_answered_the_epochs_own_is_there(
    open_page, own_lab, finished_run: DistillationRun, jobs
):
    app = open_page("robustness", **selection_link(finished_run, 3, 7, epoch=1))
    assert not app.exception
    shown = own_lab.snapshot(finished_run.id, 1)
    labels = shown.teacher_probs[[3, 7]].argmax(1)
    assert curve(app, "chosen", "agreement") == (
        [1],
        pytest.approx(100 * np.mean(shown.student_probs[[3, 7]].argmax(1) == labels)),
    )
    assert "Asking the students: the student of epoch 2 · 3 s left" in app.get("progress")[0].proto.text
    key, module, task, *told = jobs.asked[0]
    assert (module, task, told[:2]) == ("atesc_core.runs.students", "probabilities", [finished_run.id, "1"])
    button(app, "Cancel").click().run()
    assert "Asking the students was cancelled." in page_text(app)
    button(app, "Start again").click().run()
    assert len(jobs.asked) == 2
    ask(own_lab, finished_run, 1)
    app.run()
    assert curve(app, "chosen", "agreement")[0] == [1, 2]
    assert not app.get("progress")


def test_a_failure_says_why(open_page, own_lab, finished_run: DistillationRun, jobs):
    jobs.start("before", queue="short")
    jobs.job.state, jobs.job.error = "failed", "the disk is full"
    app = open_page("robustness", **selection_link(finished_run, 3, 7))
    assert not app.exception
    assert "Asking the students failed." in page_text(app)
    assert "the disk is full" in page_text(app)
    assert button(app, "Try again")


def test_a_run_says_which_students_it_has(open_page, own_lab, finished_run: DistillationRun, jobs):
    own_lab.student_file(finished_run.id, 1).unlink()
    ask(own_lab, finished_run, 1)
    app = open_page("robustness", **selection_link(finished_run, 3, 7, epoch=1))
    assert not app.exception
    assert curve(app, "chosen", "agreement")[0] == [1, 2]  # the epoch's own, in its snapshot, and the last one's
    assert "The students of 1 of 2 epochs are kept" in page_text(app)
