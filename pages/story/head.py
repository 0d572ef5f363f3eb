"""The story page's head: its name, its steps, and what recording it plays."""

from __future__ import annotations

import time

import streamlit as st

from atesc_core.recording import Recording
from pages.shared.data import recordings
from pages.shared.state import url
from pages.shared.ui import elements
from pages.story.lesson import STEPS


def head(recording: Recording | None, is_story: bool, bare: bool) -> int:
    """Draw it; the step that the link names, from 1."""
    if not bare:
        left, right = st.columns([5, 2.2], vertical_alignment="bottom")
        with left:
            elements.header(recording.manifest.title if recording else "The story")
        if recording:
            with (
                right.container(horizontal=True, horizontal_alignment="right"),
                st.popover("Recording", icon=":material/movie:"),
            ):
                _about(recording)
                recordings.opener()
    number = int(url.read_number("step", 1, 1, len(STEPS)))
    if is_story:
        _steps(number, bare)
    if recording is None:
        recordings.opener()
    return number


def _steps(number: int, bare: bool) -> None:
    """Which step of five; the page keys of a presenter turn them too."""
    back, bar, on = st.columns([0.7, 10, 0.7], vertical_alignment="center")
    back.button(
        "",
        icon=":material/chevron_left:",
        key="step back",
        disabled=number == 1,
        help="The step before",
        on_click=_go,
        args=(number - 1,),
        shortcut="PageUp",
        width="stretch",
    )
    with bar:
        if bare:
            elements.row(elements.bold(f"{number}  {STEPS[number].title}"), elements.muted(f"of {len(STEPS)}"))
        else:
            st.segmented_control(
                "Step",
                list(STEPS),
                required=True,
                label_visibility="collapsed",
                width="stretch",
                format_func=lambda at: f"{at} · {STEPS[at].title}",
                **url.bind_widget("step", number),
            )
    on.button(
        "",
        icon=":material/chevron_right:",
        key="step on",
        disabled=number == len(STEPS),
        help="The next step",
        on_click=_go,
        args=(number + 1,),
        shortcut="PageDown",
        width="stretch",
    )


def _go(number: int) -> None:
    url.set_parameter("step", number)


def _about(recording: Recording) -> None:
    """What is shown, and where it comes from."""
    manifest, live = recording.manifest, "story" in st.query_params
    if manifest.runs:
        run = manifest.runs[0]
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.created))
        when = "Live: what the runs have logged so far." if live else f"Recorded {made}; nothing is computed here."
        many = f"{len(manifest.runs)} runs" if len(manifest.runs) > 1 else "One run"
        elements.caption(
            f"{many} on {run.teacher.pair}, seed {run.spec.seed}, {run.device or 'device unknown'}. {when}"
        )
    if manifest.command:
        st.code(manifest.command, language="bash", wrap_lines=True)
    recordings.download_recording(recording)
