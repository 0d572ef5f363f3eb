"""What users write about a run: its name, note and tags."""

from __future__ import annotations

import streamlit as st

from atesc_core.errors import StoreError
from atesc_core.runs import Run
from atesc_core.runs.store import LABEL_LENGTH, MAX_TAGS, NOTE_LENGTH
from pages.shared.data.store import run_store
from pages.shared.ui import elements
from pages.shared.ui.actions import action_button


def describe_run(run: Run) -> None:
    """Draw a button that opens the fields of the run's name, note and tags. Call it outside fragments that poll."""
    with st.popover("Name and note", icon=":material/edit_note:", key=f"describe {run.id}"):
        name = st.text_input("Name", run.label or "", max_chars=LABEL_LENGTH, key=f"name {run.id}")
        note = st.text_area("Note", run.note or "", max_chars=NOTE_LENGTH, key=f"note {run.id}")
        known = dict.fromkeys(tag for other in run_store().all_runs(include_forks=True) for tag in other.tags)
        tags = st.multiselect(
            "Tags",
            list(known),
            list(run.tags),
            max_selections=MAX_TAGS,
            accept_new_options=True,
            placeholder="Choose or type",
            key=f"tags {run.id}",
        )
        if action_button("Save", icon=":material/save:", key=f"describe {run.id} save"):
            _save(run, name, note, tags)


def _save(run: Run, name: str, note: str, tags: list[str]) -> None:
    store = run_store()
    try:
        store.rename(run.id, name)
        store.annotate(run.id, note)
        store.set_tags(run.id, tags)
    except (ValueError, StoreError) as error:
        elements.notice("error", f"{error}.", icon=":material/error:")
    else:
        st.rerun()


def description_of_run(run: Run) -> None:
    """Draw the run's tags and note; nothing if it has none. Its name is in `run_summary`."""
    if run.tags:
        elements.row(*map(elements.chip, run.tags))
    if run.note:
        elements.text(run.note)
