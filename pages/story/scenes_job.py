"""The job that computes a live story's scenes, because runs do not log them."""

from __future__ import annotations

from functools import partial

from atesc_core import jobs
from atesc_core.recording.writer import scenes_file
from atesc_core.runs import DistillationRun
from pages.shared.data import story
from pages.shared.data.store import run_store
from pages.shared.ui import elements
from pages.shared.ui.polling import poll
from pages.shared.ui.progress import show_job


def await_scenes(group: str) -> None:
    """Start the job that computes this story's scenes, unless it exists, and show its progress."""
    runs = story.runs(group)
    if not {"plain", "control"} <= runs.keys():
        elements.caption("This step needs the story's plain students, and they have been deleted.")
        return
    start = partial(_start_job, runs)
    job = jobs.find(_job_key(runs)) or start()
    poll(lambda: show_job(jobs.find(_job_key(runs)) or start(), "Computing this step", start), job.active)


def _job_key(runs: dict[str, DistillationRun]) -> str:
    return str(scenes_file(run_store().runs_dir, runs["plain"].id))


def _start_job(runs: dict[str, DistillationRun]) -> jobs.Job:
    return jobs.start(
        _job_key(runs),
        "atesc_core.recording.scenes",
        runs["plain"].id,
        runs["control"].spec.teacher,
        "--runs-dir",
        str(run_store().runs_dir),
    )
