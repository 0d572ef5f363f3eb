"""Story: the trap and the escape in five steps, replayed from a recording or live; or any other recording."""

import streamlit as st

from pages._parts import recordings
from pages._parts.lesson import Scene, step
from pages._parts.projector import projecting
from pages._parts.replay import parts
from pages._parts.story_head import head
from pages._parts.theatre import theatre

bare = projecting()
tape = recordings.chosen()
told = parts(tape) if tape else {}
number = head(tape, bool(told.get("plain")), bare)
if tape:
    if "plain" in told:
        step(Scene(tape, told, st.query_params.get("story"), bare), number)
    else:
        theatre(tape, tape.recording.runs, bare=bare)
