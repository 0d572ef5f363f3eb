"""Steps 3 and 5: students side by side, one in the trap and others outside."""

from __future__ import annotations

import streamlit as st

from atesc_core.recording.verdict import ESCAPES, story_verdict
from pages.shared.data.story import in_progress
from pages.shared.ui import elements
from pages.story.context import StoryContext
from pages.story.playback import play_runs
from pages.story.trap_reason import show_reason

VERDICT_STYLE = "font-size:1.15rem;font-weight:550;line-height:1.4;min-height:1.4em"


def show_trap(story: StoryContext) -> None:
    """Draw step 3: plain students of the NTL teacher and of the SL teacher, and the reason of the trap."""
    _show_comparison(story, ("plain", "control"))
    show_reason(story)


def show_escape(story: StoryContext) -> None:
    """Draw step 5: a plain student of the NTL teacher, and those with an escape."""
    _show_comparison(story, ("plain", *ESCAPES))


def _show_comparison(story: StoryContext, roles: tuple[str, ...]) -> None:
    play_runs(
        story.recording,
        [story.runs[role] for role in roles if role in story.runs],
        live=story.group is not None and in_progress(story.group),
        presenting=story.presenting,
        reference=story.runs["plain"],
        narrate=lambda seconds: _show_verdict(story, roles, seconds),
    )


def _show_verdict(story: StoryContext, roles: tuple[str, ...], seconds: float) -> None:
    """Draw the conclusion from the accuracies up to ``seconds``. The control student counts in both steps."""
    compared = {"plain", "control", *roles}
    curves = {role: run.epochs_until(seconds) for role, run in story.runs.items() if role in compared}
    measured = set(curves["plain"]["epoch"])
    curves = {role: curve for role, curve in curves.items() if measured & set(curve["epoch"])}
    sentences = story_verdict(curves, finished=bool(measured))
    if seconds == 0:
        sentences = ["Press Play."]
    if ESCAPES[0] in roles and len(sentences) > 1:
        sentences = sentences[1:]  # the first is on the trap, and step 3 shows it
    text = "<br>".join(map(elements.as_html, sentences))
    st.html(f'<p class="atesc" role="status" style="{VERDICT_STYLE}">{text}</p>')
