"""Distill: start a run, and watch it."""

import streamlit as st

from pages.distill.new_run_form import CHOSEN, FORM, FORM_PARAMETERS, new_run_form
from pages.distill.repeat import repeat_with_seeds
from pages.distill.run_view import run_view
from pages.shared.data.teachers import cards
from pages.shared.state.run_choice import pick_run, show_run
from pages.shared.ui import elements
from pages.shared.ui.group_card import group_card
from pages.shared.ui.polling import watch_run
from pages.shared.ui.run_description import describe_run, description_of_run

title, picker, button = st.columns([3, 7, 1.6], vertical_alignment="bottom")
if "run" not in st.query_params and FORM_PARAMETERS & set(st.query_params):
    show_run(None)  # the link opens the form of a new run
with picker:
    run = pick_run("Run", required=False)
with title:
    elements.header("Distill", "" if run else "A student from a teacher, without any of its data.")

if run:
    FORM.reset()
    st.session_state.pop(CHOSEN, None)
    for name in FORM_PARAMETERS:
        st.query_params.pop(name, None)
    with button, elements.hidden_when_presenting("new run"):
        st.button("New run", icon=":material/add:", width="stretch", on_click=show_run, args=(None,))
    if run.group and not run.fork:
        group_card(run.group)
    with elements.hidden_when_presenting("description"):
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            description_of_run(run)
        with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            describe_run(run)
            if not run.fork:
                repeat_with_seeds(run)
    watch_run(run, run_view)
else:
    teacher = st.query_params.get("teacher")
    if teacher is not None and "spec" not in st.query_params and teacher not in cards():
        elements.notice("warning", f"There is no teacher {teacher[:60]!r} here.", icon=":material/link_off:")
    st.fragment(new_run_form)()
