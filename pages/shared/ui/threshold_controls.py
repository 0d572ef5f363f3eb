"""Applying the threshold that is in view to a run that is still going."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import DistillationRun
from atesc_core.runs.trials import threshold_text
from pages.shared.data.store import run_store
from pages.shared.ui.polling import is_live


def apply_controls(run: DistillationRun, threshold: float, refusal: str = "") -> None:
    """Draw the button by which a live run takes ``threshold``, and what it has yet to take; nothing for an ended run.

    Args:
        run: the run.
        threshold: in units of the run's own score.
        refusal: why the run cannot take it; empty where it can.
    """
    if is_live(run):
        st.button(
            "Apply to this run",
            icon=":material/check:",
            type="primary",
            key=f"apply {run.id}",
            disabled=bool(refusal),
            help=refusal or "The student is split at this threshold from the next round on",
            on_click=run_store().set_threshold,
            args=(run.id, threshold),
        )
        pending_notice(run)


def pending_notice(run: DistillationRun) -> None:
    """Draw that a threshold is applied from the next round, as long as the run has not taken it."""
    if is_live(run) and run.pending_threshold is not None:
        text = threshold_text(run.pending_threshold)
        st.caption(f"Threshold {text} is applied from the next round", width="content")
