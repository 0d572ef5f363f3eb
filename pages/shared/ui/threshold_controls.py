"""Applying the threshold that is in view to a run that is still going."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.data.store import run_store
from pages.shared.ui.polling import is_live


def apply_button(run: DistillationRun, threshold: float, refusal: str = "") -> None:
    """Draw the button by which a live run takes ``threshold`` from its next round on; nothing for a finished run.

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
            on_click=_apply,
            args=(run.id, threshold),
        )


def _apply(run_id: str, threshold: float) -> None:
    run_store().set_threshold(run_id, threshold)
    st.toast(f"Threshold {threshold:.2f} is applied from the next round", icon=":material/check:")
