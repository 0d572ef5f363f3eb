"""One turn of the generator: its images, the answers to them, its loss, its gradient, and how the images changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from atesc_core.distillation.turns import GeneratorTurn, agreement, mean_confidence
from atesc_core.runs import DistillationRun
from pages.shared.ui import elements, formats
from pages.shared.ui.elements import Html
from pages.shared.ui.gallery import gallery
from pages.shared.ui.glossary import LOSSES
from pages.shared.ui.turn.tables import (
    COLUMNS,
    TOTAL,
    answer_table,
    change_tile,
    class_names,
    decimal,
    heading,
    image_wall,
    loss_table,
    marked_image,
    weighted_term,
)

ROWS = 5  # rows of images
COMPARED = 14  # images shown before and after the step
LATENT_NUMBERS = 6  # first numbers of the marked image's latent vector


def show_generator_turn(run: DistillationRun, turn: GeneratorTurn) -> None:
    """Draw the trace of a generator's turn."""
    names, total = class_names(run, turn.teacher_logits_before), len(turn.images_before)
    indices = np.arange(min(COLUMNS * ROWS, total))
    marked = marked_image(indices)
    left, middle, right = st.columns([5, 4.4, 5], gap="medium")
    with left:
        step = "step" if _steps(turn) == 1 else "first step"
        heading(1, f"Images from {_inputs(turn)}", f"{len(indices)} of {total}, before the {step}")
        labels = turn.teacher_logits_before.argmax(1)
        image_wall(run, turn.images_before, indices, marked, [f"teacher: {names[label]}" for label in labels])
        _input_values(turn, marked, names)
    with middle:
        heading(2, "What [[teacher T|teacher]] and [[student S|student]] answer", "the image marked")
        answer_table(
            run, names, {"teacher": turn.teacher_logits_before[marked], "student": turn.student_logits_before[marked]}
        )
    with right:
        heading(3, "The generator's loss", "weight × value" + (", of the last step" if _steps(turn) > 1 else ""))
        _losses(run, turn)
        heading(
            4,
            f"The [[gradient]] that reached the generator: {decimal(turn.gradient_norm, 3)}",
            f"L2 norm over {formats.count(turn.weight_count)} weights",
        )
        elements.caption(
            f"Adam, learning rate {run.spec.synthesis.lr:g}, took the step"
            + ("." if _steps(turn) == 1 else f"s, {_steps(turn)} in all; the gradient is the last's.")
        )
    _changes(turn, names)


def _steps(turn: GeneratorTurn) -> int:
    """Number of optimizer steps in the turn."""
    return len(next(iter(turn.losses.values())))


def _inputs(turn: GeneratorTurn) -> str:
    """The inputs of the generator, as [[terms]] of the glossary."""
    if turn.labels is None:
        return "[[noise z]]"
    return "[[label y]]" if turn.noise is None else "[[noise z]] and [[label y]]"


def _input_values(turn: GeneratorTurn, marked: int, names: Sequence[str]) -> None:
    """Draw the generator's input for the marked image."""
    inputs = []
    if turn.noise is not None:
        z = turn.noise[marked]
        values = ", ".join(decimal(value, 2) for value in z[:LATENT_NUMBERS])
        inputs.append(f"z = ({values}, …), {len(z)} numbers")
    if turn.labels is not None:
        inputs.append(f"y = {names[turn.labels[marked]]}")
    elements.caption("Of the image marked: " + "; ".join(inputs))


def _losses(run: DistillationRun, turn: GeneratorTurn) -> None:
    settings = run.spec.synthesis
    rows: list[tuple[str | Html, ...]] = []
    for name, values in turn.losses.items():
        term = name.removeprefix("g/")
        text, digits = LOSSES.get(name, (term, 3))
        weight = getattr(settings if hasattr(settings, term) else run.spec.escape, term, 1.0)
        rows.append((weighted_term(text, weight, values[-1], digits), *_first_and_last(values, digits)))
    rows.append((TOTAL, *_first_and_last(np.sum(list(turn.losses.values()), axis=0), 3)))
    steps = _steps(turn)
    loss_table(*(["in the loss"] if steps == 1 else ["step 1", f"step {steps}"]), rows=rows)
    if settings.kind == "nayer" and turn.epoch <= settings.warmup_epochs:
        elements.caption(f"NAYER warms up for {settings.warmup_epochs} epochs without the adversarial term.")


def _first_and_last(values: np.ndarray, digits: int) -> tuple[str, ...]:
    """The values of the first and the last step, or of the only one, as text. values: (K,) of K steps."""
    ends = values[[0, -1]] if len(values) > 1 else values
    return tuple(decimal(value, digits) for value in ends)


def _changes(turn: GeneratorTurn, names: Sequence[str]) -> None:
    """Images before and after the step, and how much they changed."""
    difference = np.abs(turn.images_after.astype(int) - turn.images_before)
    scale = 255 / max(1, difference.max())
    source = "the same noise" if turn.labels is None else "the first step's batch, and the best one's"
    heading(5, "How the images changed", f"{source}; on average by {decimal(difference.mean(), 1)} of 255 levels")
    rows = {
        "before": turn.images_before,
        "after": turn.images_after,
        f"change × {scale:.0f}" if scale >= 1.5 else "change": difference * scale / 255,
    }
    logits = {"before": turn.teacher_logits_before, "after": turn.teacher_logits_after}
    for title, images in rows.items():
        title_column, wall = st.columns([1.3, 12], vertical_alignment="center")
        with title_column:
            elements.caption(title)
        labels = [names[label] for label in logits[title].argmax(1)[:COMPARED]] if title in logits else None
        with wall:
            gallery(
                images[:COMPARED],
                columns=COMPARED,
                titles=labels and [f"teacher: {label}" for label in labels],
                captions=labels,
            )
    elements.tiles(
        change_tile(
            "Teacher is sure",
            mean_confidence(turn.teacher_logits_before),
            mean_confidence(turn.teacher_logits_after),
            f"mean largest probability · {len(turn.images_before)} images",
        ),
        change_tile(
            "Student agrees",
            agreement(turn.student_logits_before, turn.teacher_logits_before),
            agreement(turn.student_logits_after, turn.teacher_logits_after),
            f"with the teacher's label · {len(turn.images_before)} images",
        ),
    )
