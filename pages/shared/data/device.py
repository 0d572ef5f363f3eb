"""The device on which this machine computes. PyTorch reports it in a job, because pages do not import torch."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from atesc_core import jobs


@dataclass(frozen=True)
class Machine:
    """The device on which runs are computed."""

    kind: str  # "cuda", "mps" or "cpu"
    summary: str  # as text: name, cores, memory
    slots: int = 1  # how many runs of one thread it computes at once


def machine() -> Machine | None:
    """The device on which runs are computed; None in the first seconds, while PyTorch starts."""
    job = _device_job()
    if job.active:
        return None
    if job.state == "done" and isinstance(job.result, dict):
        return Machine(**job.result)
    return Machine("cpu", f"PyTorch does not start here: {job.error or job.state}")


@st.cache_resource(show_spinner=False)
def _device_job() -> jobs.ProcessJob:
    """The job that reports the device: one until the server stops, since devices do not change."""
    return jobs.start("device", "atesc_core.device", queue="short")
