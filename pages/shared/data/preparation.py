"""A domain being downloaded or read, in a process of its own: how far it is, how long it takes, and a stop."""

from __future__ import annotations

import streamlit as st

from atesc_core.domains import data_dir
from atesc_core.jobs import process
from pages.shared.ui import formats

MODULE = "atesc_core.domains.prepare"
LOOK_S = 0.7  # between two looks at how far it is


def prepare(name: str) -> process.Job:
    """Start to make the domain ready; all visitors watch the same job."""
    return process.start(_key(name), MODULE, name)


def preparation(name: str) -> process.Job | None:
    """The last one of this domain, going or ended."""
    return process.find(_key(name))


def _key(name: str) -> str:
    return f"domain {name} in {data_dir()}"


def progress(name: str, job: process.Job) -> None:
    """While it goes. Call it outside fragments: the page runs anew when it has ended."""

    @st.fragment(run_every=LOOK_S)
    def shown() -> None:
        if job.state != "running":
            st.rerun()
        left, right = st.columns([5, 1], vertical_alignment="center")
        eta = f" · {formats.duration(job.eta_s)} left" if job.eta_s is not None else ""
        left.progress(min(max(job.share, 0.0), 1.0), f"{job.what}{eta}")
        right.button("Stop", icon=":material/stop:", key=f"stop {name}", on_click=job.stop, width="stretch")

    shown()
