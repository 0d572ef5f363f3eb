"""Step 2: the first steps of a distillation, one turn of the generator or the student at a time."""

from __future__ import annotations

import streamlit as st

from atesc_core.recording.manifest import FirstStep, FirstSteps
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.gallery import gallery
from pages.shared.ui.glossary import LOSSES, annotated
from pages.shared.ui.turn.controls import turn_buttons
from pages.shared.ui.turn.tables import decimal, loss_table
from pages.story.context import StoryContext

COLUMNS = 8  # images in a row


@st.fragment
def show_first_steps(story: StoryContext) -> None:
    """Draw the step. The recording must hold its scene, ``manifest.first``."""
    first, arrays = story.recording.manifest.first, story.recording.arrays
    assert first is not None
    done = int(url.read_number("n", 0, 0, len(first.steps)))
    drawing = sum(step.turn == "generator" for step in first.steps[:done])  # only the generator changes the images
    teacher, confidence = arrays["first/teacher_class"][drawing], arrays["first/teacher_confidence"][drawing]
    student = arrays["first/student_class"][done]
    names = first.class_names
    left, right = st.columns([3, 2], gap="medium")
    with (
        left,
        elements.card(
            "What the generator makes of the same noise",
            f"{first.images} images, the teacher's label below",
            height="stretch",
        ),
    ):
        gallery(
            arrays["first/images"][drawing],
            columns=COLUMNS,
            captions=[names[label] for label in teacher],
            titles=[
                f"teacher: {names[label]}, {100 * sure:.1f} % sure · student: {names[answer]}"
                for label, sure, answer in zip(teacher, confidence, student, strict=True)
            ],
        )
    with right, elements.card(height="stretch"):
        _controls(first.steps, done)
        elements.tiles(
            elements.tile(
                "Teacher is sure",
                formats.per_cent(100 * float(confidence.mean())),
                "%",
                measured_on=f"mean over the {first.images} images",
            ),
            elements.tile(
                "Student agrees",
                formats.per_cent(100 * float((student == teacher).mean())),
                "%",
                measured_on=f"with the teacher's label on the {first.images} images",
            ),
        )
        _losses(first, done)


def _controls(steps: tuple[FirstStep, ...], done: int) -> None:
    """A button for the next turn, one for the turn before, one for the beginning."""
    who = steps[done].turn if done < len(steps) else None
    turn_buttons(who, st.columns(2), lambda: url.set_parameter("n", done + 1))
    back, over = st.columns(2)
    back.button(
        "Back",
        icon=":material/undo:",
        key="previous turn",
        width="stretch",
        disabled=not done,
        on_click=url.set_parameter,
        args=("n", done - 1),
    )
    over.button(
        "Start over",
        icon=":material/restart_alt:",
        key="first turn",
        width="stretch",
        disabled=not done,
        on_click=url.set_parameter,
        args=("n", None),
    )


def _losses(first: FirstSteps, done: int) -> None:
    """The last turn's losses, beside those of the same network's turn before."""
    if not done:
        elements.caption("Nothing has been learned yet: noise goes in, and blots come out.")
        return
    last = first.steps[done - 1]
    earlier = first.steps[done - 3].losses if done > 2 else {}
    elements.row(elements.bold(f"Round {last.round}: the {last.turn}'s losses"))
    loss_table(
        "a round earlier",
        "this round",
        rows=[
            (annotated(LOSSES[name][0]), decimal(earlier.get(name), LOSSES[name][1]), decimal(value, LOSSES[name][1]))
            for name, value in last.losses.items()
            if name in LOSSES
        ],
    )
