"""Embedding: where synthetic images lie among real ID and OOD ones, as the teacher sees them."""

import streamlit as st

from pages._parts import look
from pages._parts.feature_map import map_view
from pages._parts.report import measuring, teacher_report
from pages._parts.runs import follow, method, pick_run
from pages._parts.store import run_store
from pages._parts.teachers import cards

title, picker = st.columns([3, 5], vertical_alignment="bottom")
with title:
    look.header("Embedding")
with picker:
    place = st.container()
with place:
    run = pick_run("Run", with_images=True)

if run:
    card = cards().get(run.spec.teacher)
    kind = [look.chip(f"{card.kind} teacher", card.kind)] if card else []
    look.line(look.bold(run.spec.teacher), *kind, method(run.spec), look.status(run.status),
              look.quiet("Where the teacher's last layer puts real and synthetic images."))
    report = teacher_report(card.name, run.spec.split) if card else None
    if card:
        measuring(card.name, run.spec.split, report)
    if report is not None:
        moving = f"map moves {run.id}"

        def show() -> bool:
            st.session_state[moving] = map_view(run_store().get(run.id), card, report)
            return st.session_state[moving]

        follow(show, st.session_state.get(moving, False))
    elif card is None:
        look.empty("This run's teacher is gone", "The map needs it to place real images. Choose another run.")
