"""The header of the Story page: title, choice of the step, and information on the recording."""

from __future__ import annotations

import time

import streamlit as st

from atesc_core.recording import Recording
from pages.shared.state import url
from pages.shared.ui import elements
from pages.shared.ui.recording_files import download_recording, upload_recording
from pages.story.steps import STEPS


def story_header(recording: Recording | None, is_story: bool, presenting: bool) -> int:
    """Draw the header, and return the number of the step in the link, from 1.

    Args:
        recording: the recording that the page plays; None if there is none.
        is_story: whether the recording contains the story, so that there are steps.
        presenting: whether controls are hidden.
    """
    if not presenting:
        left, right = st.columns([5, 2.2], vertical_alignment="bottom")
        with left:
            elements.header(recording.manifest.title if recording else "The story")
        if recording:
            with (
                right.container(horizontal=True, horizontal_alignment="right"),
                st.popover("Recording", icon=":material/movie:"),
            ):
                _recording_details(recording)
                upload_recording()
    number = int(url.read_number("step", 1, 1, len(STEPS)))
    if is_story:
        _step_controls(number, presenting)
    if recording is None:
        upload_recording()
    return number


def _step_controls(number: int, presenting: bool) -> None:
    """Draw the choice of the step. The Page Up and Page Down keys of a presenter work too."""
    with st.container(key="step_controls"):
        previous, middle, following = st.columns([0.7, 10, 0.7], vertical_alignment="center")
    previous.button(
        "",
        icon=":material/chevron_left:",
        key="previous step",
        disabled=number == 1,
        help="The step before",
        on_click=url.set_parameter,
        args=("step", number - 1),
        shortcut="PageUp",
        width="stretch",
    )
    with middle:
        if presenting:
            elements.row(elements.bold(f"{number}  {STEPS[number].title}"), elements.muted(f"of {len(STEPS)}"))
        else:
            st.segmented_control(
                "Step",
                list(STEPS),
                required=True,
                label_visibility="collapsed",
                width="stretch",
                format_func=lambda step: f"{step} · {STEPS[step].title}",
                **url.bind_widget("step", number),
            )
    following.button(
        "",
        icon=":material/chevron_right:",
        key="next step",
        disabled=number == len(STEPS),
        help="The next step",
        on_click=url.set_parameter,
        args=("step", number + 1),
        shortcut="PageDown",
        width="stretch",
    )


def _recording_details(recording: Recording) -> None:
    """Draw the recording's runs and origin, and the button that downloads it."""
    manifest = recording.manifest
    if manifest.runs:
        run = manifest.runs[0]
        if "story" in st.query_params:
            source = "Live: what the runs have logged so far."
        else:
            created = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.created))
            source = f"Recorded {created}; nothing is computed here."
        count = f"{len(manifest.runs)} runs" if len(manifest.runs) > 1 else "One run"
        elements.caption(
            f"{count} on {run.teacher.pair}, seed {run.spec.seed}, {run.device or 'device unknown'}. {source}"
        )
    if manifest.command:
        st.code(manifest.command, language="bash", wrap_lines=True)
    download_recording(recording)
