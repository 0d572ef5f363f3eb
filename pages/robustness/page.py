"""Robustness: the threshold between fragile and robust images, and the images on either side of it."""

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.robustness.threshold_view import threshold_view
from pages.shared.data.reports import measuring, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_header import run_page_header


def watch_threshold(run: DistillationRun) -> None:
    """Draw the run's split, and redraw it while it may change."""
    card, report = cards().get(run.spec.teacher), None
    if card:
        report = teacher_report(card.name, run.spec.split)
        measuring(card.name, run.spec.split, report)
    changing_key = f"split moves {run.id}"

    def show() -> bool:
        current = run_store().refresh(run)
        changing = threshold_view(current, card, report) or is_live(current)
        st.session_state[changing_key] = changing
        return changing

    poll(show, st.session_state.get(changing_key, is_live(run)), every_s=2.0)


chosen = run_page_header(
    "Robustness", "An attack changes the teacher's mind on a fragile image, and not on a robust one.", with_images=True
)
if chosen:
    watch_threshold(chosen)
