"""Recordings as files: upload a recording to play it, download the shown recording, download runs as a recording."""

from __future__ import annotations

import io

import streamlit as st

from atesc_core.errors import RecordingError
from atesc_core.recording import Recording, load
from atesc_core.recording.file import MAX_FILE_BYTES, SUFFIX, to_bytes
from atesc_core.runs import DistillationRun
from pages.shared.data import recordings
from pages.shared.state import url
from pages.shared.state.visitor import may_change
from pages.shared.ui import elements


def upload_recording() -> None:
    """Draw the uploader. A file is checked, stored under a name made from its content, and then played.

    Nothing for those who may only look: what is stored replaces the oldest of all visitors' files.
    """
    if not may_change():
        return
    upload = st.file_uploader(
        "Open a recording",
        type=[SUFFIX.removeprefix(".")],
        key="recording file",
        max_upload_size=MAX_FILE_BYTES // 1024**2,
        help="A file of `recording make`, or of a download button. It is checked, never executed.",
    )
    if upload is None:
        return
    checked, error = st.session_state.get("checked recording", (None, ""))
    if upload.file_id == checked:
        if error:
            elements.problem(f"This file cannot be played: {error}.", "Nothing was kept of it.", "Choose another file.")
        return
    content = upload.getvalue()
    try:
        if not load(io.BytesIO(content)).manifest.runs:
            raise RecordingError("there is no run in it")
    except RecordingError as reason:
        st.session_state["checked recording"] = (upload.file_id, str(reason))
        st.rerun()
    st.session_state["checked recording"] = (upload.file_id, "")
    url.set_parameter("recording", recordings.store_upload(content))
    for name in ("story", "t"):
        url.set_parameter(name, None)
    st.rerun()


def download_runs(runs: list[DistillationRun], title: str) -> None:
    """Draw a button that downloads runs as a recording. The recording is made after the click."""
    name = runs[0].id
    st.download_button(
        "Download recording",
        lambda: to_bytes(recordings.record_runs(runs, title)),
        file_name=f"{name}{SUFFIX}",
        mime="application/zip",
        icon=":material/movie:",
        key=f"record {name}",
        on_click="ignore",
        help="A small file that any lab replays without computing anything",
    )


def download_recording(recording: Recording) -> None:
    """Draw a button that downloads the recording that the page plays."""
    st.download_button(
        "Download this recording",
        lambda: to_bytes(recording),
        file_name=f"story{SUFFIX}",
        mime="application/zip",
        icon=":material/download:",
        key="download recording",
        on_click="ignore",
    )
