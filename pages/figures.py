"""Figures: a run's figure as it will print, and the files to take home."""

import streamlit as st

from atesc_core.figures import title
from pages._parts import look
from pages._parts.paper import downloads, preview, settings
from pages._parts.report import measuring, teacher_report
from pages._parts.run_figures import FIGURES_OF_A_RUN, NEEDS_REPORT, Wanted, draw, questions
from pages._parts.runs import pick_run
from pages._parts.teachers import cards

left, right = st.columns([3, 5], vertical_alignment="bottom")
with left:
    look.header("Figures")
with right:
    place = st.container()
with place:
    run = pick_run("Run")

if run:
    controls, page = st.columns([1, 2.6], gap="large")
    card = cards().get(run.spec.teacher)
    with controls:
        name = st.selectbox("Figure", list(FIGURES_OF_A_RUN), format_func=title, key="figure", bind="query-params")
        more = questions(name, run, card)
        printed = settings()
    report = teacher_report(card.name, run.spec.split) if card and name in NEEDS_REPORT else None
    with page:
        if card and name in NEEDS_REPORT:
            measuring(card.name, run.spec.split, report)
        figure = draw(name, Wanted(run, card, report, **more))
        if isinstance(figure, str):
            look.empty("Not yet", figure)
        else:
            drawn = preview(figure, printed, name, run, more)
            downloads(figure, printed, name, run, more, drawn)
