"""What this machine computes on, asked of PyTorch in a job: pages import no torch."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from atesc_core import jobs


@dataclass(frozen=True)
class Machine:
    """The device that runs go to."""

    kind: str  # "cuda", "mps" or "cpu"
    summary: str  # in words: name, cores, memory


def machine() -> Machine | None:
    """The device that runs go to; None in the first seconds, while PyTorch starts."""
    job = _device_job()
    if job.active:
        return None
    if job.state == "done" and isinstance(job.result, dict):
        return Machine(**job.result)
    return Machine("cpu", f"PyTorch does not start here: {job.error or job.state}")


@st.cache_resource(show_spinner=False)
def _device_job() -> jobs.ProcessJob:
    """One for as long as the app runs: its devices do not change."""
    return jobs.start("device", "atesc_core.device", queue="short")
