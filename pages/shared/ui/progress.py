"""The progress widget of every background job (``atesc_core.jobs``), with buttons to stop and to restart the job."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from atesc_core import jobs
from atesc_core.jobs import Job
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button

REFRESH_S = 0.7  # seconds between two updates


def show_job(
    job: Job,
    title: str,
    restart: Callable[[], object],
    *,
    unaffected: str = "The rest of the page stands.",
    note: str = "",
    key: str = "",
    changes: bool = False,
) -> bool:
    """Draw the progress of a job; nothing if the job is done. For fragments that poll.

    Args:
        job: The job.
        title: What the job does: "Measuring a teacher".
        restart: Starts the job again after a stop or a failure.
        unaffected: A sentence on what a stop or a failure does not change, and what to do.
        note: A sentence before the progress.
        key: Key of the buttons, if the page shows the same job twice.
        changes: Whether the job changes what the lab has, so that those who may only look cannot start it again.

    Returns:
        Whether to draw the job again soon.
    """
    key = key or job.key
    if job.state == "done":
        return False

    def start_again() -> None:
        restart()

    left, right = st.columns([5, 1], vertical_alignment="center")
    if job.active:
        left.progress(job.share, " ".join(part for part in (note, _progress_text(job, title)) if part))
        action_button(
            "Cancel", place=right, icon=":material/close:", key=f"stop {key}", on_click=job.stop, width="stretch"
        )
        return True
    with left:
        if job.state == "failed":
            elements.problem(f"{title} failed.", f"{job.error.rstrip('.')}.", unaffected)
        else:
            elements.caption(f"{title} was cancelled. {unaffected}")
    again = partial(action_button, place=right) if changes else right.button
    again(
        "Try again" if job.state == "failed" else "Start again",
        icon=":material/refresh:",
        key=f"again {key}",
        on_click=start_again,
        width="stretch",
    )
    return False


def watch_job(
    job: Job,
    title: str,
    restart: Callable[[], object],
    *,
    unaffected: str = "The rest of the page stands.",
    note: str = "",
    has_more: Callable[[], bool] = lambda: False,
    changes: bool = False,
) -> None:
    """Draw the progress of a job in a fragment that polls until the job has ended; then the page runs again.

    Call it outside fragments.

    Args:
        job: See ``show_job``.
        title: See ``show_job``.
        restart: See ``show_job``.
        unaffected: See ``show_job``.
        note: See ``show_job``.
        changes: See ``show_job``.
        has_more: Whether a part of the result is ready, so that the page should run again before the job ends.
    """
    active = job.active
    if job.state == "done":  # since the page looked
        st.rerun()

    @st.fragment(run_every=REFRESH_S if active else None)
    def fragment() -> None:
        url.restore_parameters()
        if active and (not job.active or has_more()):
            st.rerun()
        show_job(job, title, restart, unaffected=unaffected, note=note, changes=changes)

    fragment()


def ensure_result(key: str, title: str, is_missing: Callable[[], bool], start: Callable[[], Job]) -> bool:
    """Start the job with this key if its result is missing, and draw its progress. For fragments that poll.

    Args:
        key: Key of the job that ``start`` starts.
        title: See ``show_job``.
        is_missing: Returns whether the result is missing.
        start: Starts the job, for the first time or again.

    Returns:
        Whether to draw again soon.
    """
    job = jobs.find(key)
    if job is None or job.state == "done":
        if not is_missing():  # the job has finished since the page was drawn
            return True
        job = start()
    return show_job(job, title, start, key=key) or job.state == "done"


def _progress_text(job: Job, title: str) -> str:
    if job.state == "queued":
        return f"{title}: waiting, place {job.queue_position} in the queue"
    eta_s = job.eta_s
    clock = f"{formats.duration(job.elapsed_s)} so far" if eta_s is None else f"{formats.duration(eta_s)} left"
    return f"{title}: {job.message} · {clock}"
