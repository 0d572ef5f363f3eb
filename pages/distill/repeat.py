"""The same run again with other seeds, as one group."""

from __future__ import annotations

import streamlit as st

from atesc_core.errors import SpecError
from atesc_core.runs import DistillationRun
from atesc_core.specs.sweep import sweep
from pages.distill.starting import show_time, start_group
from pages.shared.data.store import run_store
from pages.shared.ui import elements
from pages.shared.ui.actions import action_button
from pages.shared.ui.run_labels import count_runs

MORE_SEEDS = 4  # proposed


def repeat_with_seeds(run: DistillationRun) -> None:
    """Draw a button that opens the choice of seeds, and starts the runs. Call it outside fragments that poll."""
    with st.popover("Repeat with seeds …", icon=":material/repeat:", key=f"repeat {run.id}"):
        _choose_seeds(run)


def _choose_seeds(run: DistillationRun) -> None:
    first = run.spec.seed + 1
    seeds = st.text_input(
        "Seeds",
        f"{first}-{first + MORE_SEEDS - 1}",
        max_chars=200,
        key=f"seeds {run.id}",
        help="A range, both ends included, or single seeds: 10-19 or 1,5,10-12",
    )
    try:
        specs = sweep(run_store().reproducing_spec(run), [f"seed={seeds}"])
    except SpecError as error:
        elements.notice("error", str(error), icon=":material/error:")
        return
    elements.row(elements.bold(count_runs(len(specs))))
    show_time(specs)
    elements.caption("They differ in the seed alone, so that Compare shows them as one line with a band.")
    label = f"Start {count_runs(len(specs))}"
    if action_button(label, type="primary", icon=":material/play_arrow:", key=f"start repeat {run.id}"):
        st.toast(f"{count_runs(len(specs))} of other seeds queued", icon=":material/play_arrow:")
        start_group(specs, joined_by=run.id)
