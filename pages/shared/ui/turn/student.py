"""One step of the student: its batch, the attack on it, the answers, its loss and its gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import streamlit as st

from atesc_core.distillation.turns import StudentTurn, agreement
from atesc_core.runs import DistillationRun
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.ui import elements, formats
from pages.shared.ui.elements import Html
from pages.shared.ui.glossary import FORGETTING, LOSSES, annotated
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
    paragraph,
    weighted_term,
)

ROWS = 5  # rows of images; the last row shows the OOD half, if there is one


def show_student_turn(run: DistillationRun, turn: StudentTurn) -> None:
    """Draw the trace of a student's step."""
    names, ood_half = class_names(run, turn.teacher_logits), _ood_half(run, turn)
    id_count = len(turn.images) - ood_half
    id_indices = np.arange(min(COLUMNS * (ROWS - bool(ood_half)), id_count))
    indices = np.concatenate([id_indices, id_count + np.arange(min(COLUMNS, ood_half))])
    marked = marked_image(indices)
    left, middle, right = st.columns([4, 6, 4.8], gap="medium")
    with left:
        heading(
            1,
            f"The batch: {id_count} [[synthetic]] images"
            + (f" and {ood_half} of the [[OOD half]]" if ood_half else ""),
            f"{len(indices)} shown" + (", the OOD half last" if ood_half else ""),
        )
        titles = [_title(run, turn, index, names) for index in range(len(turn.images))]
        roles = None if turn.fragile_mask is None else [_group(turn.fragile_mask, index) for index in indices]
        image_wall(run, turn.images, indices, marked, titles, roles)
        _split(run, turn)
    with middle:
        heading(3, "What [[teacher T|teacher]] and [[student S|student]] answer", "the image marked")
        answers = {
            "teacher": turn.teacher_logits[marked],
            "student": turn.student_logits_before[marked],
            "after": turn.student_logits_after[marked],
        }
        answer_table(run, names, answers)
        elements.caption("The student as it learns: its BatchNorm goes by this batch. After: the step taken.")
    with right:
        heading(4, "The student's loss", "before and after the step, on this batch")
        _losses(run, turn)
        heading(
            5,
            f"The [[gradient]]: {decimal(turn.gradient_norm, 3)}",
            f"L2 norm over {formats.count(turn.weight_count)} weights",
        )
        paragraph(f"SGD with momentum 0.9, [[learning rate]] {turn.learning_rate:.3g}, took the step.")
        elements.tiles(*_tiles(turn))


def _ood_half(run: DistillationRun, turn: StudentTurn) -> int:
    """Number of the batch's last images that are the OOD half of twin synthesis."""
    return max(0, len(turn.images) - run.spec.batch_size)


def _forgotten(turn: StudentTurn) -> np.ndarray:
    """(M,) bool: the images whose answer the student forgets."""
    return np.zeros(len(turn.images), bool) if turn.forget_mask is None else turn.forget_mask


def _group(fragile: np.ndarray, index: int) -> elements.Role:
    return "fragile" if fragile[index] else "robust"


def _title(run: DistillationRun, turn: StudentTurn, index: int, names: Sequence[str]) -> str:
    """The tooltip of an image: both networks' labels, the image's group and its use."""
    teacher, student = turn.teacher_logits[index].argmax(), turn.student_logits_before[index].argmax()
    labels = f"teacher: {names[teacher]} · student: {names[student]}"
    use = "teaches" if turn.teach_mask[index] else "held back, forgotten" if _forgotten(turn)[index] else "held back"
    return labels + ("" if turn.fragile_mask is None else f" · {_group(turn.fragile_mask, index)}") + f", {use}"


def _split(run: DistillationRun, turn: StudentTurn) -> None:
    """Draw how the batch was split into fragile and robust images, or why it was not."""
    escape, split, n = run.spec.escape, run.spec.split, len(turn.images)
    if turn.fragile_mask is None:
        heading(2, "No attack", "")
        elements.caption(
            f"Warm-up, epoch {turn.epoch} of {escape.warmup_epochs}: nothing is split yet, every image teaches."
            if escape.splits
            else f"The OOD half never teaches; {_forgotten(turn).sum()} of its images are forgotten."
            if _ood_half(run, turn)
            else "This run splits nothing: every image teaches."
        )
        return
    fragile = turn.fragile_mask.sum()
    threshold = f"{turn.threshold:.2f}{SCORE_UNITS[split.score]}"
    if turn.threshold == math.inf:
        heading(2, "No attack: one group", "no image is held back")
    elif split.score == "min_eps":
        heading(2, f"An attack within [[ε]] = {threshold} on the teacher", "")
    else:
        heading(2, f"The threshold: {SCORE_NAMES[split.score]} {threshold}", "above it: robust")
    elements.row(
        elements.swatch("fragile", f"fragile {fragile}", outline=True),
        elements.swatch("robust", f"robust {n - fragile}", outline=True),
        elements.muted(f"of {n} synthetic images"),
    )
    teaching = turn.teach_mask.sum()
    paragraph(f"[[teaches|Teach]]: {teaching} of {n}. [[held back|Held back]]: {n - teaching}.")


def _losses(run: DistillationRun, turn: StudentTurn) -> None:
    escape = run.spec.escape
    distillation = f"{LOSSES['s/fragile'][0]}, mean over the {turn.teach_mask.sum()} that teach"
    form = escape.form_of_forgetting
    formula = f"[[{FORGETTING[form]}]]" if form in FORGETTING else form
    forgetting = f"Forgetting, [[λ]] · {formula}, mean over {_forgotten(turn).sum()}"
    rows: list[tuple[str | Html, ...]] = []
    for name, value in turn.losses.items():
        title: str | Html
        if name == "s/robust":
            title = weighted_term(forgetting, escape.weight, value, 3)
        else:
            title = {"s/fragile": annotated(distillation), "s/total": TOTAL}.get(name, name.removeprefix("s/"))
        rows.append((title, decimal(value, 3), decimal(turn.losses_after[name], 3)))
    loss_table("before", "after", rows=rows)
    if run.spec.temperature != 1:
        elements.caption(f"KL at temperature {run.spec.temperature:g}, times its square.")


def _tiles(turn: StudentTurn) -> Iterable[Html]:
    """Tiles with the change of the student's answers, on the teaching images and on the forgotten ones."""
    teaching, forgotten = turn.teach_mask, _forgotten(turn)
    before, after = turn.student_logits_before, turn.student_logits_after
    if teaching.any():
        yield change_tile(
            "Agrees with what teaches",
            agreement(before[teaching], turn.teacher_logits[teaching]),
            agreement(after[teaching], turn.teacher_logits[teaching]),
            f"{teaching.sum()} images",
        )
    if forgotten.any():
        yield change_tile(
            "Gives T's label to the forgotten",
            agreement(before[forgotten], turn.teacher_logits[forgotten]),
            agreement(after[forgotten], turn.teacher_logits[forgotten]),
            f"{forgotten.sum()} images",
            role="robust",
        )
