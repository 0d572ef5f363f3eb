"""Story: the trap and the escape in five steps, replayed from a recording or live; or any other recording."""

import streamlit as st

from pages.shared.data import recordings
from pages.shared.ui.presentation import presenting
from pages.story.head import head
from pages.story.lesson import Scene, step
from pages.story.replay import parts
from pages.story.theatre import theatre

bare = presenting()
recording = recordings.chosen()
told = parts(recording) if recording else {}
number = head(recording, bool(told.get("plain")), bare)
if recording:
    if "plain" in told:
        step(Scene(recording, told, st.query_params.get("story"), bare), number)
    else:
        theatre(recording, recording.manifest.runs, bare=bare)
