"""Which run a page shows: the one in the URL (?run=ID), so that a reload or another browser sees the same."""

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.ui import elements
from pages.shared.ui.run_labels import run_name

PICKER = "run_picker"  # the widget; what it holds is always copied from the URL
REMEMBERED = "run_shown"  # the run last looked at, for pages reached by the menu


def pick_run(label: str = "Run", *, with_images: bool = False, required: bool = True) -> DistillationRun | None:
    """A box to choose the page's run from; the run that the URL, or else this visit's last page, names.

    with_images: offer only runs that already keep synthetic images. required: where nothing is named, take the
    newest run. None: there is no run to show, and unless that is what was asked for, the page now says why.
    Call it outside fragments: choosing another run reruns the page.
    """
    runs = run_store().distillations(include_forks=True)
    offered = {run.id: run for run in runs if (run.metrics or not with_images) and not run.fork}
    run = _named(runs) or (next(iter(offered.values()), None) if required else None)
    if run is not None:
        offered.setdefault(run.id, run)
        show_run(run.id)
    elif required and not offered:
        _say_none(with_images and bool(runs))
        return None
    elif not offered:
        return None
    st.session_state[PICKER] = run.id if run else None
    st.selectbox(
        label,
        list(offered),
        key=PICKER,
        format_func=lambda run_id: run_name(offered[run_id]),
        index=None,
        placeholder="Open a run",
        on_change=lambda: show_run(st.session_state[PICKER]),
    )
    return run


def show_run(run_id: str | None) -> None:
    """Put a run, or none, into the URL and into this visit's memory."""
    if st.query_params.get("run", run_id) != run_id:
        url.clear_run_parameters()
    if run_id is None:
        st.query_params.pop("run", None)
    elif st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id
    st.session_state[REMEMBERED] = run_id


def _named(runs: list[DistillationRun]) -> DistillationRun | None:
    """The run of the URL, or the one this visit last looked at."""
    wanted = st.query_params.get("run")
    known = {run.id: run for run in runs}
    if wanted in {run.id for run in run_store().trainings()}:
        st.info("This run trains a teacher.", icon=":material/school:")
        st.page_link("pages/teachers/page.py", label="See it on the page Teachers", query_params={"run": wanted})
        show_run(None)
        return None
    if wanted is not None and wanted not in known and (why := run_store().unreadable().get(wanted)):
        elements.problem(
            f"Run {wanted} was made by another version.",
            f"This one does not know its settings: {why}",
            "It stays where it is; the version that made it can show it.",
        )
        show_run(None)
        return None
    if wanted is not None and wanted not in known:
        st.warning(
            f"There is no run {wanted[:20]!r} here. It may have been deleted, or the link comes from another lab.",
            icon=":material/link_off:",
        )
        show_run(None)
        return None
    return known.get(wanted or st.session_state.get(REMEMBERED))


def _say_none(waiting: bool) -> None:
    """waiting: there are runs, but none has images yet."""
    words = (
        ("No synthetic images yet", "A run keeps its first ones at the end of its first epoch.")
        if waiting
        else ("No runs yet", "Distil a student, or run the story, and come back here.")
    )
    with elements.empty_state(*words), st.container(horizontal=True, horizontal_alignment="center"):
        st.page_link("pages/distill/page.py", label="Distil a student", icon=":material/experiment:")
        st.page_link("pages/start/page.py", label="Run the story", icon=":material/home:")


# ── a run in words ──────────────────────────────────────────────────────────────────────────────────


# ── a run, live ─────────────────────────────────────────────────────────────────────────────────────
