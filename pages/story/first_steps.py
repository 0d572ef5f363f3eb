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
    """Draw the step. The recording must contain its scene, ``manifest.first``."""
    first, arrays = story.recording.manifest.first, story.recording.arrays
    assert first is not None
    turns_taken = int(url.read_number("n", 0, 0, len(first.steps)))
    image_set = sum(
        step.turn == "generator" for step in first.steps[:turns_taken]
    )  # only the generator changes the images
    teacher, confidence = arrays["first/teacher_class"][image_set], arrays["first/teacher_confidence"][image_set]
    student = arrays["first/student_class"][turns_taken]
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
            arrays["first/images"][image_set],
            columns=COLUMNS,
            captions=[names[label] for label in teacher],
            titles=[
                f"teacher: {names[label]}, {100 * sure:.1f} % sure · student: {names[answer]}"
                for label, sure, answer in zip(teacher, confidence, student, strict=True)
            ],
        )
    with right, elements.card(height="stretch"):
        _controls(first.steps, turns_taken)
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
        _losses(first, turns_taken)


def _controls(steps: tuple[FirstStep, ...], turns_taken: int) -> None:
    """Draw the buttons for the next turn, for the previous turn, and to start over."""
    who = steps[turns_taken].turn if turns_taken < len(steps) else None
    turn_buttons(who, st.columns(2), lambda: url.set_parameter("n", turns_taken + 1))
    back, over = st.columns(2)
    back.button(
        "Back",
        icon=":material/undo:",
        key="previous turn",
        width="stretch",
        disabled=not turns_taken,
        on_click=url.set_parameter,
        args=("n", turns_taken - 1),
    )
    over.button(
        "Start over",
        icon=":material/restart_alt:",
        key="first turn",
        width="stretch",
        disabled=not turns_taken,
        on_click=url.set_parameter,
        args=("n", None),
    )


def _losses(first: FirstSteps, turns_taken: int) -> None:
    """Draw the losses of the last turn, and of the same network's previous turn."""
    if not turns_taken:
        elements.caption("Nothing has been learned yet: noise goes in, and blots come out.")
        return
    last = first.steps[turns_taken - 1]
    earlier = first.steps[turns_taken - 3].losses if turns_taken > 2 else {}
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
