"""The one progress widget: a job of ``atesc_core.jobs``, how far it is, a way to stop it and to start it again."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from atesc_core import jobs
from atesc_core.jobs import Job
from pages.shared.state import url
from pages.shared.ui import elements, formats

REFRESH_S = 0.7  # seconds between two updates


def show_job(
    job: Job,
    title: str,
    restart: Callable[[], object],
    *,
    kept: str = "The rest of the page stands.",
    note: str = "",
    key: str = "",
) -> bool:
    """Draw a job that is not done; whether to draw it again soon. For fragments that poll themselves.

    Args:
        job: The job. Where it is done, nothing is drawn.
        title: What it does: "Measuring a teacher".
        restart: Starts it again after a stop or a failure.
        kept: A sentence about what a stop or a failure leaves as it was, and what to do.
        note: A sentence before the progress.
        key: Tells its buttons from those of the same job elsewhere on the page.
    """
    key = key or job.key
    if job.state == "done":
        return False

    def start_again() -> None:
        restart()

    left, right = st.columns([5, 1], vertical_alignment="center")
    if job.active:
        left.progress(job.share, " ".join(part for part in (note, _progress_text(job, title)) if part))
        right.button("Stop", icon=":material/stop:", key=f"stop {key}", on_click=job.stop, width="stretch")
        return True
    with left:
        if job.state == "failed":
            elements.problem(f"{title} failed.", f"{job.error.rstrip('.')}.", kept)
        else:
            elements.caption(f"{title} was stopped. {kept}")
    right.button(
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
    kept: str = "The rest of the page stands.",
    note: str = "",
    has_more: Callable[[], bool] = lambda: False,
) -> None:
    """``show_job`` as a fragment that polls until the job has ended; then the page runs again.

    Call it outside fragments.

    Args:
        job: See ``show_job``.
        title: See ``show_job``.
        restart: See ``show_job``.
        kept: See ``show_job``.
        note: See ``show_job``.
        has_more: Whether the job has left a part of its result, so that the page should run again before its end.
    """
    active = job.active

    @st.fragment(run_every=REFRESH_S if active else None)
    def fragment() -> None:
        url.restore_parameters()
        if active and (not job.active or has_more()):
            st.rerun()
        show_job(job, title, restart, kept=kept, note=note)

    fragment()


def ensure_result(key: str, title: str, is_missing: Callable[[], bool], start: Callable[[], Job]) -> bool:
    """Start the job of this key where its result is missing, and draw it; whether to draw again soon.

    For fragments that poll themselves, such as ``polling.poll``.

    Args:
        key: The key of the job that ``start`` starts.
        title: See ``show_job``.
        is_missing: Whether the result is not there yet.
        start: Starts the job, for the first time or again.
    """
    job = jobs.find(key)
    if job is None or job.state == "done":
        if not is_missing():  # it has come since the page was drawn
            return True
        job = start()
    return show_job(job, title, start) or job.state == "done"


def _progress_text(job: Job, title: str) -> str:
    if job.state == "queued":
        return f"{title}: waiting, place {job.queue_position} in the queue"
    eta_s = job.eta_s
    clock = f"{formats.duration(job.elapsed_s)} so far" if eta_s is None else f"{formats.duration(eta_s)} left"
    return f"{title}: {job.message} · {clock}"
