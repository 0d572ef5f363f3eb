"""Where teachers' BatchNorm statistics lie on real images: reading it, and measuring what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from atesc_core import jobs
from atesc_core.errors import TeacherError
from atesc_core.runs import default_runs_dir
from atesc_core.teachers.batchnorm import BatchNormReport, batchnorm_file
from pages.shared.data.reports import card_modified
from pages.shared.data.teachers import cards
from pages.shared.ui.progress import ensure_result, watch_job

MODULE = "atesc_core.teachers.batchnorm_measurement"


def batchnorm_report(name: str) -> BatchNormReport | None:
    """The report of a teacher; None until it is measured.

    Raises:
        TeacherError: The teacher is not known.
    """
    path = _path(name)
    try:
        return _load(str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def measuring_batchnorm(names: Sequence[str]) -> bool:
    """Measure the first of the teachers whose report is missing, and draw the progress. For fragments that poll.

    Returns:
        Whether to draw again soon.
    """
    name = next((name for name in names if batchnorm_report(name) is None), None)
    if name is None:
        return False
    return ensure_result(str(_path(name)), _title(name), lambda: batchnorm_report(name) is None, partial(_start, name))


def watch_batchnorm(name: str) -> None:
    """Measure a teacher whose report is missing, and draw the progress. Call it outside fragments."""
    job = jobs.find(str(_path(name)))
    if job is None or job.state == "done":
        job = _start(name)
    watch_job(job, _title(name), partial(_start, name))


def _title(name: str) -> str:
    return f"BatchNorm layers of {name} on real images"


def _start(name: str) -> jobs.Job:
    return jobs.start(str(_path(name)), MODULE, name, "--runs-dir", str(default_runs_dir()), queue="short")


def _path(name: str) -> Path:
    if name not in cards():
        raise TeacherError(f"teacher: {name!r} is not known")
    return _file(str(default_runs_dir()), name, card_modified(name))


@st.cache_data(max_entries=64, show_spinner="Reading the teacher …")
def _file(runs_dir: str, name: str, modified: int) -> Path:
    return batchnorm_file(Path(runs_dir), name)


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: str, modified: int) -> BatchNormReport:
    """The report in a file. All visitors share the object: do not modify it."""
    return BatchNormReport.load(Path(path))
