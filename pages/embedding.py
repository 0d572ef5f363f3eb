"""Embedding: where synthetic images lie among real ID and OOD ones, as the teacher sees them."""

import streamlit as st

from pages._parts import look
from pages._parts.feature_map import map_view
from pages._parts.report import measuring, teacher_report
from pages._parts.runs import follow
from pages._parts.store import run_store
from pages._parts.teachers import cards
from pages._parts.top import run_page

run = run_page("Embedding", "Where the teacher's last layer puts real and synthetic images.", with_images=True)
if run and run.spec.teacher not in cards():
    look.empty("This run's teacher is gone", "The map needs it to place real images. Choose another run.")
elif run:
    card = cards()[run.spec.teacher]
    report = teacher_report(card.name, run.spec.split)
    measuring(card.name, run.spec.split, report)
    if report is not None:
        moving = f"map moves {run.id}"

        def show() -> bool:
            st.session_state[moving] = map_view(run_store().get(run.id), card, report)
            return st.session_state[moving]

        follow(show, st.session_state.get(moving, False))
