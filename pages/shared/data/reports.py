"""Reports on teachers, measured on real validation images: reading them, and measuring what is missing."""

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
    """The report as far as it is measured: None, labels only, or complete.

    Raises:
        TeacherError: The teacher is not known.
    """
    path = report_path(name, split)
    try:
        return _load(str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def measuring(name: str, split: SplitSpec, report: Report | None) -> None:
    """Start to measure a report that is not complete, and show the progress.

    Call it outside fragments: the page runs again when a new part of the report is ready.

    Args:
        name: Name of the teacher.
        split: Settings of the attack on the real validation images.
        report: The report so far.
    """
    if report is not None and report.attacked:
        return
    path = report_path(name, split)
    start = partial(_start, str(path), name, split)
    job = jobs.find(str(path))
    if job is None or job.state == "done":
        job = start()
    watch_job(
        job, f"Measuring {name} on real validation images", start, has_more=lambda: report is None and path.exists()
    )


def _start(key: str, name: str, split: SplitSpec) -> jobs.Job:
    fields = split.model_dump(mode="json", include={"epsilon", "max_epsilon", "steps"})
    return jobs.start(key, MODULE, name, "--runs-dir", str(default_runs_dir()), "--split", json.dumps(fields))


def report_path(name: str, split: SplitSpec) -> Path:
    """Path of the report's file, whether or not it exists. Splits with the same attack share one file.

    Raises:
        TeacherError: The teacher is not known.
    """
    if name not in cards():
        raise TeacherError(f"teacher: {name!r} is not known")
    return _report_file(str(default_runs_dir()), name, split.model_dump_json(), card_modified(name))


def card_modified(name: str) -> int:
    """When the teacher's card was written, in ns: it is written again with the weights."""
    card_files = [default_runs_dir() / "teachers" / f"{name}.json", _shipped() / f"{name}.json"]
    return max((file.stat().st_mtime_ns for file in card_files if file.exists()), default=0)


def _shipped() -> Path:
    return paths.ASSETS / "teachers"


@st.cache_data(max_entries=64, show_spinner="Reading the teacher …")
def _report_file(runs_dir: str, name: str, split: str, modified: int) -> Path:
    return report_file(Path(runs_dir), name, SplitSpec.model_validate_json(split))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: str, modified: int) -> Report:
    """The report in a file. All visitors share the object: do not modify it."""
    return Report.load(Path(path))
