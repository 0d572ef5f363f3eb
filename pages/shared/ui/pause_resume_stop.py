"""The buttons of a run: pause, resume, one step, stop, or the same again with other settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from atesc_core.runs import Run
from pages.shared.data.store import run_store
from pages.shared.state.run_choice import show_run
from pages.shared.ui.actions import action_button
from pages.shared.ui.polling import is_live


def run_buttons(run: Run) -> None:
    """Draw the buttons for the run's state: pause or resume, one step, stop, or a new run with these settings."""
    store, waiting = run_store(), run.status == "paused" or run.stepping
    pausing = run.status == "running" and run.requested_state == "pause" and not waiting
    if run.status in ("queued", "running") and not (pausing or waiting):
        _button("Pause", "pause", store.pause, run)
    if run.status in ("stopped", "interrupted", "failed") or waiting or run.in_slow_motion:
        _button("Resume", "play_arrow", store.resume, run, help_text="At full speed" if run.in_slow_motion else None)
    if pausing:
        _button("Pausing", "pause", store.pause, run, disabled=True)
    if run.status == "running" or waiting:
        _button("Step", "skip_next", store.step, run, help_text="One round, or the rest of one, then pause")
    if run.status == "queued" and (run.queue_position or 0) > 1:
        _button("Move to the front", "vertical_align_top", _move_first, run, help_text="Next in line")
    if is_live(run):
        _button("Stop", "stop", store.stop, run, disabled=run.requested_state == "stop")
    else:
        st.button(
            "Again, changed",
            icon=":material/tune:",
            key=f"again {run.id}",
            on_click=_open_form,
            args=(run,),
            help="Open the form with this run's settings",
        )


def _button(
    label: str,
    icon: str,
    action: Callable[[str], None],
    run: Run,
    *,
    disabled: bool = False,
    help_text: str | None = None,
) -> None:
    action_button(
        label,
        icon=f":material/{icon}:",
        key=f"{label} {run.id}",
        on_click=action,
        args=(run.id,),
        disabled=disabled,
        help=help_text,
    )


def _move_first(run_id: str) -> None:
    with suppress(ValueError):  # it has just begun
        run_store().move_first(run_id)


def _open_form(run: Run) -> None:
    show_run(None)
    st.query_params["spec"] = run.spec.to_token()
