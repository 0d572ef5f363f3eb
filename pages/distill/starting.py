"""Before runs start, how long they take; and the start of several as one group."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from atesc_core.specs.run import RunSpec
from pages.shared.data.cost import active_run_count, all_seconds
from pages.shared.data.store import run_store
from pages.shared.state.run_choice import show_run
from pages.shared.ui import elements, formats


def show_time(specs: Sequence[RunSpec]) -> None:
    """Draw the estimated time of the runs on this machine, and how many wait before them."""
    seconds, waiting = all_seconds(specs), active_run_count()
    time_text = (
        "Time: not known before a first run here" if seconds is None else f"About {formats.duration(seconds)} here"
    )
    elements.row(elements.bold(time_text), elements.muted(f"after {waiting} in line" if waiting else ""))


def start_group(specs: Sequence[RunSpec], name: str | None = None, joined_by: str | None = None) -> None:
    """Queue the runs as one group and show its first run; draw why if the name cannot be the group's.

    Args:
        specs: of each run.
        name: of the group; a new one is made unless given.
        joined_by: id of the run that they repeat.
    """
    try:
        group = run_store().create_group(specs, name, joined_by)
    except ValueError as error:
        elements.notice("error", f"{error}.", icon=":material/error:")
        return
    st.query_params.clear()
    show_run(run_store().group(group).runs[0].id if joined_by is None else joined_by)
    st.rerun()
