"""Reports of teachers on real test images: read as far as they are measured, and measured where they are not."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import streamlit as st

from atesc_core import jobs, paths
from atesc_core.errors import TeacherError
from atesc_core.runs import default_runs_dir
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.report import Report, report_file
from pages.shared.data.teachers import cards
from pages.shared.ui.progress import watch_job

MODULE = "atesc_core.teachers.measurement"


def teacher_report(name: str, split: SplitSpec) -> Report | None:
    """As far as it is measured: None, labels only, or all of it. Raises TeacherError for an unknown teacher."""
    path = report_path(name, split)
    return _load(str(path), path.stat().st_mtime_ns) if path.exists() else None


def measuring(name: str, split: SplitSpec, report: Report | None) -> None:
    """Measure the report where it is not complete, and show how far that is.

    Call it outside fragments: the page runs again when there is more to show.

    Args:
        name: Name of the teacher.
        split: How the attack on its real test images is done.
        report: The report so far.
    """
    if report is not None and report.attacked:
        return
    path = report_path(name, split)
    start = partial(_start, str(path), name, split)
    job = jobs.find(str(path))
    if job is None or job.state == "done":
        job = start()
    watch_job(job, f"Measuring {name} on real test images", start, has_more=lambda: report is None and path.exists())


def _start(key: str, name: str, split: SplitSpec) -> jobs.Job:
    fields = split.model_dump(mode="json", include={"epsilon", "max_epsilon", "steps"})
    return jobs.start(key, MODULE, name, "--runs-dir", str(default_runs_dir()), "--split", json.dumps(fields))


def report_path(name: str, split: SplitSpec) -> Path:
    """Where the report lies or will lie: the same for splits that attack alike. Raises TeacherError."""
    if name not in cards():
        raise TeacherError(f"teacher: {name!r} is not known")
    runs_dir = default_runs_dir()
    places = [runs_dir / "teachers" / f"{name}.json", _shipped() / f"{name}.json"]
    written = max((place.stat().st_mtime_ns for place in places if place.exists()), default=0)
    return _named(str(runs_dir), name, split.model_dump_json(), written)


def _shipped() -> Path:
    return paths.ASSETS / "teachers"


@st.cache_data(max_entries=64, show_spinner="Reading the teacher …")
def _named(runs_dir: str, name: str, split: str, written: int) -> Path:
    return report_file(Path(runs_dir), name, SplitSpec.model_validate_json(split))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: str, written: int) -> Report:
    """One for all visitors, and never written to."""
    return Report.load(Path(path))
