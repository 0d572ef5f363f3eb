"""The story's five steps: each has a sentence and one interactive view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from pages.shared.ui import elements
from pages.shared.ui.glossary import annotated
from pages.story.border import show_border
from pages.story.comparison import show_escape, show_trap
from pages.story.context import StoryContext
from pages.story.first_steps import show_first_steps
from pages.story.scenes_job import await_scenes
from pages.story.split import show_split

SENTENCE_STYLE = "font-size:1.45rem;font-weight:600;line-height:1.4;max-width:75rem"  # legible from the back row


@dataclass(frozen=True)
class Step:
    """One step of the story."""

    title: str
    sentence: Callable[[StoryContext], str]  # may contain [[terms]] of the glossary
    show: Callable[[StoryContext], None]
    scene: str = ""  # field of the recording's manifest that the step needs; runs do not log it


STEPS = {
    1: Step(
        "A teacher with a border",
        lambda story: (
            "Move from an [[ID]] image to an [[OOD]] image: somewhere on the way the [[NTL teacher]]'s prediction "
            "breaks."
        ),
        show_border,
        "border",
    ),
    2: Step(
        "Distilling without data",
        lambda story: (
            "The [[generator G]] learns to make images that the [[teacher T]] is sure of; the [[student S]] learns "
            "what the teacher says of them."
        ),
        show_first_steps,
        "first",
    ),
    3: Step(
        "The trap",
        lambda story: f"Same method, two teachers: watch [[IAcc]] and [[{story.ood_metric}]] part.",
        show_trap,
    ),
    4: Step(
        "Fragile and robust",
        lambda story: (
            "Push [[ε]]: which [[synthetic]] images lose their label and are [[fragile]], which keep it and are "
            "[[robust]]?"
        ),
        show_split,
    ),
    5: Step(
        "The escape",
        lambda story: (
            f"[[ATEsc]] learns from the [[fragile]] and forgets the [[robust]]; [[Twin]] makes ID and OOD images "
            f"apart. What becomes of [[{story.ood_metric}]], and what does it cost in [[IAcc]]?"
        ),
        show_escape,
    ),
}


def show_step(story: StoryContext, number: int) -> None:
    """Draw a step of `STEPS`, or a notice if the recording does not contain it."""
    step = STEPS[number]
    st.html(f'<p class="atesc" style="{SENTENCE_STYLE}">{annotated(step.sentence(story))}</p>')
    if not step.scene or getattr(story.recording.manifest, step.scene) is not None:
        step.show(story)
    elif story.group is None:
        elements.empty_state(
            "Not in this recording", "It was made without the story's first two steps; the others play."
        )
    else:
        await_scenes(story.group)
