"""Robustness: where the line between fragile and robust lies, and what lies on either side of it."""

import streamlit as st

from pages._parts import look
from pages._parts.report import measuring, teacher_report
from pages._parts.runs import follow, may_change, method, pick_run
from pages._parts.split import split_view
from pages._parts.store import run_store
from pages._parts.teachers import cards

title, picker = st.columns([3, 5], vertical_alignment="bottom")
with title:
    look.header("Robustness")
with picker:
    place = st.container()
with place:
    run = pick_run("Run", with_images=True)

if run:
    card = cards().get(run.spec.teacher)
    kind = [look.chip(f"{card.kind} teacher", card.kind)] if card else []
    look.line(look.bold(run.spec.teacher), *kind, method(run.spec), look.status(run.status),
              look.quiet("An attack changes the teacher's mind on a fragile image, and not on a robust one."))
    report = None
    if card:
        report = teacher_report(card.name, run.spec.split)
        measuring(card.name, run.spec.split, report)

    def show() -> bool:
        now = run_store().get(run.id)
        split_view(now, card, report)
        return may_change(now)

    follow(show, may_change(run), every_s=2.0)
