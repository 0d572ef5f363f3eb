"""The introduction: the trap as a diagram, and the buttons that play the recorded story or run the story live."""

from __future__ import annotations

import streamlit as st

from atesc_core.vocabulary import SETTING_DESCRIPTIONS, SETTING_NAMES
from pages.shared.data import recordings, story
from pages.shared.data.cost import active_run_count, all_seconds, together
from pages.shared.data.device import machine
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.start.trap_diagram import trap_diagram


def introduction() -> None:
    """Draw the trap as a diagram, and the controls that play or run the story."""
    left, right = st.columns([5, 3], gap="medium")
    with left, elements.card(height="stretch"):
        trap_diagram(key="trap")
    with right, elements.card("See it happen", height="stretch"):
        _launch_controls()


@st.fragment
def _launch_controls() -> None:
    """Draw the choice of the setting, and the buttons that play the story and run it."""
    settings = list(story.teachers_by_setting())
    if not settings:
        elements.empty_state(
            "No teachers", "The story needs an NTL and an SL teacher of one pair; see the page Teachers."
        )
        return
    setting = st.segmented_control(
        "Setting",
        settings,
        required=True,
        **url.bind_choice("setting", settings),
        format_func=lambda name: SETTING_NAMES[name].capitalize(),
    )
    elements.caption(SETTING_DESCRIPTIONS[setting])
    is_recorded = recordings.SHIPPED.exists()
    elements.page_button(
        "story/page.py",
        "Play the story",
        primary=is_recorded,
        icon=":material/slideshow:",
        width="stretch",
        disabled=not is_recorded,
        help="Five steps, from a recording of the open-set story: nothing is computed"
        if is_recorded
        else f"This copy has no recording; `{recordings.MAKE_COMMAND}` makes it",
    )
    if action_button(
        "Run the story live",
        type="secondary" if is_recorded else "primary",
        icon=":material/play_arrow:",
        width="stretch",
    ):
        st.query_params["story"] = story.start(setting)
        st.rerun()
    elements.caption(f"Four students{_duration_note(setting)}.")


def _duration_note(setting: str) -> str:
    """``, two at a time, about 3 min here, after 2 in line``: slots, estimated time and runs before it, if known."""
    specs = list(story.specs(setting).values())
    seconds, waiting = all_seconds(specs), active_run_count()
    queue = f", after {waiting} in line" if waiting else ""
    count = f", {together(specs)}" if machine() else ""
    return count + queue if seconds is None else f"{count}, about {formats.duration(seconds)} here{queue}"
