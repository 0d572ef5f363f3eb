"""Figures: a run's figure as it will print, and the files to take home."""

import streamlit as st

from atesc_core.figures import title
from pages._parts import look
from pages._parts.paper import downloads, preview, settings
from pages._parts.report import measuring, teacher_report
from pages._parts.run_figures import FIGURES_OF_A_RUN, NEEDS_REPORT, Wanted, draw, questions
from pages._parts.teachers import cards
from pages._parts.top import run_page

run = run_page("Figures", "As it will print, and to take home.")
if run:
    card = cards().get(run.spec.teacher)
    which, how = st.columns([1, 2.4], vertical_alignment="bottom", gap="medium")
    name = which.selectbox("Figure", list(FIGURES_OF_A_RUN), format_func=title, key="figure", bind="query-params")
    with how:
        printed = settings()
    more = questions(name, run)
    report = None
    if card and name in NEEDS_REPORT:
        report = teacher_report(card.name, run.spec.split)
        measuring(card.name, run.spec.split, report)
    figure = draw(name, Wanted(run, card, report, **more))
    if isinstance(figure, str):
        look.empty("Not yet", figure)
    else:
        drawn = preview(figure, printed, name, run, more)
        downloads(figure, printed, name, run, more, drawn)
