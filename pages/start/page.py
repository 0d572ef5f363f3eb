"""Start: the trap as a diagram, the live story, this machine, the latest runs."""

import streamlit as st

from pages.shared.data import story
from pages.shared.ui import elements
from pages.shared.ui.polling import poll
from pages.start.latest_runs import any_run_live, show_latest_runs
from pages.start.launch import introduction
from pages.start.live_story import follow_story
from pages.start.this_machine import is_busy, show_machine

elements.header(
    "An NTL teacher fools data-free distillation. See it, then get out.",
    "A non-transferable (NTL) teacher draws the generator away from the ID domain; the student learns what "
    "misleads. ATEsc learns from the fragile images and forgets the robust ones.",
)
group = st.query_params.get("story") or story.latest_group()
above, below = st.container(), st.container()
with elements.hidden_when_presenting("lab"):
    with elements.card():
        poll(show_machine, is_busy(), every_s=2)
    with elements.card("Latest runs"):
        poll(show_latest_runs, any_run_live(), every_s=2)

# Drawn last, because on the first visit it waits for PyTorch.
if group and ("story" in st.query_params or story.in_progress(group)):
    with above:
        follow_story(group)
    with below:
        introduction()
else:
    with above:
        introduction()
    if group:
        with below:
            elements.row(elements.bold("The last story"))
            follow_story(group)
