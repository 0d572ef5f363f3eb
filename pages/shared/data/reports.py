"""What a teacher does with real test images, as far as it is measured, and the measuring itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from atesc_core import paths
from atesc_core.jobs import process
from atesc_core.runs import default_runs_dir
from atesc_core.specs.run import SplitSpec
from pages.shared.data.teachers import cards
from pages.shared.ui import elements, formats

if TYPE_CHECKING:
    from atesc_core.teachers.report import Report

MODULE = "atesc_core.teachers.report"
LOOK_S = 0.7  # between two looks at how far it is


def teacher_report(name: str, split: SplitSpec) -> Report | None:
    """As far as it is measured: None, labels only, or all of it. Raises TeacherError for an unknown teacher."""
    path = report_path(name, split)
    return _load(str(path), path.stat().st_mtime_ns) if path.exists() else None


def measuring(name: str, split: SplitSpec, report: Report | None) -> None:
    """See to it that the report is measured; while it is not, say how far it is, how long it takes, and offer to stop.

    Call it outside fragments: the page runs anew when there is more to show.
    """
    if report is not None and report.attacked:
        return
    key = str(report_path(name, split))
    job = process.find(key)
    if job is None or job.state == "done":
        job = _start(key, name, split)
    running = job.state == "running"

    @st.fragment(run_every=LOOK_S if running else None)
    def progress() -> None:
        if running and (job.state != "running" or (report is None and Path(key).exists())):
            st.rerun()
        if running:
            _progress(job, key, name)
        else:
            _ended(job, key, name, split)

    progress()


def _progress(job: process.Job, key: str, name: str) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    eta = f" · {formats.duration(job.eta_s)} left" if job.eta_s is not None else ""
    with left:
        st.progress(min(max(job.share, 0.0), 1.0), f"Measuring {name} on real test images: {job.what}{eta}")
    with right:
        st.button("Stop", icon=":material/stop:", key=f"stop {key}", on_click=job.stop, width="stretch")


def _ended(job: process.Job, key: str, name: str, split: SplitSpec) -> None:
    """It was stopped, or failed."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        if job.state == "failed":
            elements.problem(
                f"Measuring {name} on real test images failed.", f"{job.error}.", "The rest of the page stands."
            )
        else:
            elements.caption(f"Measuring {name} on real test images was stopped.")
    if right.button("Measure", icon=":material/refresh:", key=f"again {key}", width="stretch"):
        _start(key, name, split)
        st.rerun()


def _start(key: str, name: str, split: SplitSpec) -> process.Job:
    fields = split.model_dump(mode="json", include={"epsilon", "max_epsilon", "steps"})
    return process.start(key, MODULE, name, "--runs-dir", str(default_runs_dir()), "--split", json.dumps(fields))


def report_path(name: str, split: SplitSpec) -> Path:
    """Where the report lies or will lie: the same for splits that attack alike. Raises TeacherError."""
    if name not in cards():
        from atesc_core.errors import TeacherError

        raise TeacherError(f"teacher: {name!r} is not known")
    runs_dir = default_runs_dir()
    places = [runs_dir / "teachers" / f"{name}.json", _shipped() / f"{name}.json"]
    written = max((place.stat().st_mtime_ns for place in places if place.exists()), default=0)
    return _named(str(runs_dir), name, split.model_dump_json(), written)


def _shipped() -> Path:
    return paths.ASSETS / "teachers"


@st.cache_data(max_entries=64, show_spinner="Reading the teacher …")
def _named(runs_dir: str, name: str, split: str, written: int) -> Path:
    from atesc_core.teachers.report import report_file

    return report_file(Path(runs_dir), name, SplitSpec.model_validate_json(split))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: str, written: int) -> Report:
    """One for all visitors, and never written to."""
    from atesc_core.teachers.report import Report

    return Report.load(Path(path))
