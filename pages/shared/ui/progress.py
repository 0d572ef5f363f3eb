"""Work in a process of its own, as a fragment that is drawn again and again sees it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from atesc_core.jobs import process
from pages.shared.ui import elements, formats


def progress(key: str, doing: str, missing: Callable[[], bool], module: str, *arguments: str) -> bool:
    """See to it that the work is done, and say how far it is; whether there will be more to see by itself.

    doing: in words. missing: whether its result is still to come. Stopped or failed, it begins again at a button.
    """
    job = process.find(key)
    if job is None or job.state == "done":
        if not missing():  # it has come since the page looked
            return True
        job = process.start(key, module, *arguments)
    left, right = st.columns([5, 1], vertical_alignment="center")
    if job.state == "running":
        eta = f" · {formats.duration(job.eta_s)} left" if job.eta_s is not None else ""
        left.progress(min(max(job.share, 0.0), 1.0), f"{doing}: {job.what}{eta}")
        right.button("Stop", icon=":material/stop:", key=f"stop {key}", on_click=job.stop, width="stretch")
        return True
    with left:
        if job.state == "failed":
            elements.problem(f"{doing} failed.", f"{job.error}.", "The rest of the page stands.")
        else:
            elements.caption(f"{doing} was stopped.")
    right.button(
        "Go on",
        icon=":material/refresh:",
        key=f"again {key}",
        width="stretch",
        on_click=process.start,
        args=(key, module, *arguments),
    )
    return False
