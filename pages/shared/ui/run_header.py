"""The first lines of a page that shows a run."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import Run
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state.run_choice import method, pick_run
from pages.shared.ui import look


def run_page(title: str, lead: str, *, with_images: bool = False) -> Run | None:
    """The page's name, the run it shows and what that run is; None: there is none, and the page says what to do."""
    if not any(run.metrics or not with_images for run in run_store().list()):
        look.header(title, lead)
        return pick_run(with_images=with_images)
    left, right = st.columns([4, 5], vertical_alignment="bottom")
    with left:
        look.header(title)
    with right:
        run = pick_run(with_images=with_images)
    if run:
        look.line(*facts(run), look.quiet(lead))
    return run


def facts(run: Run) -> list[look.Html | str]:
    """Its teacher, its method and how it stands, for a line."""
    card = cards().get(run.spec.teacher)
    kind = [look.teacher(card.kind)] if card else []
    return [look.bold(run.spec.teacher), *kind, method(run.spec), look.status(run.status)]
