"""The recording that the page plays, chosen by the link."""

from __future__ import annotations

import streamlit as st

from atesc_core.errors import RecordingError
from atesc_core.recording import Recording
from pages.shared.data import recordings
from pages.shared.ui import elements


def chosen_recording() -> Recording | None:
    """Return the recording of the link: ``?story=GROUP``, ``?recording=NAME``, or by default the shipped one.

    None if there is none: then a notice with the reason and the next step is drawn.
    """
    group, name = st.query_params.get("story"), st.query_params.get("recording")
    if group:
        recording = recordings.live_recording(group)
        if recording is None:
            elements.notice(
                "info", "This story has been deleted, or the link comes from another lab.", icon=":material/delete:"
            )
        return recording
    path = recordings.SHIPPED if name is None else recordings.upload_path(name)
    if path is not None and path.exists():
        try:
            return recordings.load_file(path)
        except RecordingError as error:
            elements.problem(
                f"This recording cannot be played: {error}.",
                "Your runs are untouched.",
                f"Give another file, or make it anew: {recordings.MAKE_COMMAND}"
                if name is None
                else "Give another file.",
            )
    elif name is None:
        _no_shipped_recording()
    else:
        elements.notice(
            "warning",
            "This recording is not here: the link comes from another lab, or the file has been removed. Give "
            "the file itself below.",
            icon=":material/link_off:",
        )
    return None


def _no_shipped_recording() -> None:
    with elements.empty_state(
        "No recorded story",
        "This copy of the lab has none. Make it in a few minutes on a machine that "
        "is idle, run the story live, or open a recording of your own below.",
    ):
        st.code(recordings.MAKE_COMMAND, language="bash")
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.page_link("start/page.py", label="Run the story live", icon=":material/play_arrow:")
