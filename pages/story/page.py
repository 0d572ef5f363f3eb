"""Story: the trap and the escape in five steps, from a recording or live. It plays any other recording too."""

import streamlit as st

from pages.shared.ui.presentation import presenting
from pages.story.context import StoryContext, runs_by_role
from pages.story.header import story_header
from pages.story.playback import play_runs
from pages.story.recording_choice import chosen_recording
from pages.story.steps import show_step

recording = chosen_recording()
runs = runs_by_role(recording) if recording else {}
step = story_header(recording, bool(runs), presenting())
if recording and runs:
    show_step(StoryContext(recording, runs, st.query_params.get("story"), presenting()), step)
elif recording:
    play_runs(recording, recording.manifest.runs, presenting=presenting())
