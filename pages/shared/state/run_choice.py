"""The run that a page shows. It is in the link (``?run=ID``), so that a reload or another browser shows it too."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.state.controlled_widget import controlled_widget
from pages.shared.ui import elements
from pages.shared.ui.run_labels import run_name
from pages.shared.ui.run_search import FEW, find_runs

PICKER_KEY = "run_picker"  # key of the select box
LAST_RUN_KEY = "run_shown"  # key in the session state: the last shown run, for pages that are opened from the menu


def pick_run(label: str = "Run", *, with_images: bool = False, required: bool = True) -> DistillationRun | None:
    """Draw a select box for the page's run. It starts at the link's run, or else at the run that was shown last.

    Call it outside fragments: choosing another run reruns the page.

    Args:
        label: label of the select box.
        with_images: offer only runs that have synthetic images.
        required: choose the newest run if there is neither a run in the link nor a run that was shown last.

    Returns:
        The chosen run; None if there is none. With ``required``, the page then shows what to do.
    """
    runs = run_store().distillations(include_forks=True)
    offered = {run.id: run for run in runs if (run.metrics or not with_images) and not run.fork}
    run = _linked_run(runs) or (next(iter(offered.values()), None) if required else None)
    if run is not None:
        offered.setdefault(run.id, run)
        show_run(run.id)
    elif required and not offered:
        _draw_no_runs(waiting_for_images=with_images and bool(runs))
        return None
    elif not offered:
        return None
    search, picker = st.container(), st.container()
    if len(offered) > FEW:
        search, picker = st.columns([2, 5], vertical_alignment="bottom", gap="small")
    with search:
        found = {each.id for each in find_runs(list(offered.values()))}
    ids = [run_id for run_id in offered if run_id in found or (run and run_id == run.id)]
    picker.selectbox(
        label,
        ids,
        format_func=lambda run_id: run_name(offered[run_id]),
        placeholder="Open a run" if ids else "No run has these words",
        **controlled_widget(PICKER_KEY, run.id if run else None, show_run, options=ids),
    )
    return run


def show_run(run_id: str | None) -> None:
    """Write the shown run (None: no run) into the link and into the session state."""
    if st.query_params.get("run", run_id) != run_id:
        url.clear_run_parameters()
    url.set_parameter("run", run_id)
    st.session_state[LAST_RUN_KEY] = run_id


def _linked_run(runs: list[DistillationRun]) -> DistillationRun | None:
    """The link's run, or else the run that was shown last. If the link's run does not exist, draw a notice."""
    linked, known = st.query_params.get("run"), {run.id: run for run in runs}
    if linked is None:
        return known.get(st.session_state.get(LAST_RUN_KEY, ""))
    if linked in known:
        return known[linked]
    if linked in {run.id for run in run_store().trainings()}:
        elements.notice("info", "This run trains a teacher.", icon=":material/school:")
        st.page_link("teachers/page.py", label="See it on the page Teachers", query_params={"run": linked})
    elif reason := run_store().unreadable().get(linked):
        elements.problem(
            f"Run {linked} was made by another version, or is damaged.",
            f"This version cannot read it: {reason}",
            "It stays where it is; the version that made it can show it, unless it is damaged.",
        )
    else:
        elements.notice(
            "warning",
            f"There is no run {linked[:20]!r} here. It may have been deleted, or the link comes from another lab.",
            icon=":material/link_off:",
        )
    show_run(None)
    return None


def _draw_no_runs(waiting_for_images: bool) -> None:
    """Draw what to do when there is no run. ``waiting_for_images``: there are runs, but none has images yet."""
    title, next_step = (
        ("No synthetic images yet", "A run keeps its first ones at the end of its first epoch.")
        if waiting_for_images
        else ("No runs yet", "Distil a student, or run the story, and come back here.")
    )
    with elements.empty_state(title, next_step), st.container(horizontal=True, horizontal_alignment="center"):
        st.page_link("distill/page.py", label="Distil a student", icon=":material/experiment:")
        st.page_link("start/page.py", label="Run the story", icon=":material/home:")
