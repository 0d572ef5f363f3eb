"""The button that applies the threshold to a live run."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import DistillationRun
from atesc_core.specs.run import SplitSpec
from atesc_core.vocabulary import threshold_text
from pages.shared.data.store import run_store
from pages.shared.ui import elements
from pages.shared.ui.actions import action_button
from pages.shared.ui.polling import is_live


def apply_controls(run: DistillationRun, threshold: float, refusal: str = "") -> None:
    """Draw the button that applies ``threshold`` to a live run, and the pending threshold; nothing for an ended run.

    Args:
        run: the run.
        threshold: in units of the score that splits the run.
        refusal: why the threshold cannot be applied; empty if it can.
    """
    if is_live(run):
        wanted, chosen = run.pending_threshold, run.spec.split.threshold
        current = run_store().threshold(run.id) if wanted is None else wanted
        if not isinstance(chosen, str) and threshold == current:  # one found by itself can be kept by applying it
            refusal = refusal or "The run splits at this threshold already"
        action_button(
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


def threshold_warning(split: SplitSpec, threshold: float) -> None:
    """Draw a warning if ``threshold`` is off the scale of the split's score."""
    if warning := split.warning(threshold):
        elements.notice("warning", f"{warning}.", icon=":material/help:")


def pending_notice(run: DistillationRun) -> None:
    """Draw a notice while the run has a threshold that is applied from the next round."""
    if is_live(run) and run.pending_threshold is not None:
        text = threshold_text(run.pending_threshold)
        st.caption(f"Threshold {text} is applied from the next round", width="content")
