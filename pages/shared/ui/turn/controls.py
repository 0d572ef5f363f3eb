"""Buttons that let a run take one turn, and the controls of slow motion."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.distillation.turns import Turn, Who, next_turn
from atesc_core.runs import DistillationRun
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.state.visitor import may_change
from pages.shared.ui.actions import action_button

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PACES = (1, 2, 3, 5, 10)  # seconds per turn
WAIT_S = 1.0  # how long a click waits for its turn, so that the page shows it at once


def turn_buttons(who: Who | None, columns: Iterable[DeltaGenerator], on_click: Callable[[], None]) -> None:
    """Draw a button for the generator and one for the student; only the button of ``who`` is enabled.

    Args:
        who: The network that takes the next turn; None disables both buttons.
        columns: The two columns of the buttons.
        on_click: Takes the turn.
    """
    for network, column in zip(("generator", "student"), columns, strict=True):
        column.button(
            f"{network.capitalize()}'s turn",
            icon=":material/skip_next:",
            key=f"turn {network}",
            width="stretch",
            type="primary" if network == who else "secondary",
            disabled=network != who,
            on_click=on_click,
        )


def turn_controls(run: DistillationRun, last: Turn | None) -> None:
    """Draw the buttons for the next turn and for slow motion, and its pace. ``last``: the run's last turn."""
    generator, student, slow, pace = st.columns([2.2, 2.2, 2.2, 4], vertical_alignment="center")
    who = None if run.in_slow_motion or run.stepping or not may_change() else next_turn(last)
    identity = _identity(last)
    turn_buttons(who, (generator, student), lambda: _take_turn(run, identity))
    # Not a toggle: the card is redrawn every second, and a late redraw would look like a click on the toggle.
    if run.in_slow_motion:
        action_button(
            "End slow motion",
            place=slow,
            icon=":material/pause:",
            key="slow motion off",
            type="primary",
            width="stretch",
            on_click=run_store().pause,
            args=(run.id,),
            help="Pauses the run here",
        )
    else:
        action_button(
            "Slow motion",
            place=slow,
            icon=":material/slow_motion_video:",
            key="slow motion on",
            width="stretch",
            on_click=_start_slow_motion,
            args=(run,),
            help="The turns follow one another by themselves",
        )
    pace.segmented_control(
        "Seconds a turn",
        PACES,
        format_func="{} s".format,
        required=True,
        label_visibility="collapsed",
        **url.bind_widget("pace", _pace()) | {"on_change": _change_pace, "args": (run,)},
    )


def _pace() -> int:
    """Seconds per turn, from the link."""
    requested = url.read_number("pace", 3, PACES[0], PACES[-1])
    return min(PACES, key=lambda pace: abs(pace - requested))


def _start_slow_motion(run: DistillationRun) -> None:
    run_store().slow_motion(run.id, _pace())


def _change_pace(run: DistillationRun) -> None:
    url.set_parameter("pace", st.session_state["link pace"])
    if run.in_slow_motion and may_change():
        run_store().slow_motion(run.id, _pace())


def _identity(turn: Turn | None) -> tuple[object, ...] | None:
    """A key that is different for every turn of a run."""
    return (turn.epoch, turn.round, turn.who, turn.number) if turn else None


def _take_turn(run: DistillationRun, last: tuple[object, ...] | None) -> None:
    """Request the turn after ``last`` and wait a moment for it. A second click during that time has no effect."""
    store, deadline = run_store(), time.monotonic() + WAIT_S
    if store.get(run.id).stepping or _identity(store.last_turn(run.id)) != last:
        return
    store.take_turn(run.id)
    while store.get(run.id).active and time.monotonic() < deadline:
        time.sleep(0.05)
