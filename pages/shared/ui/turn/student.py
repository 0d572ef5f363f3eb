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
    PROJECTED,
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

ROWS = 5  # rows of images; the last row shows noise probes, if there are any
MAX_PROBES = 8  # largest number of noise probes to show


def show_student_turn(run: DistillationRun, turn: StudentTurn) -> None:
    """Draw the trace of a student's step."""
    names, probes = class_names(run, turn.teacher_logits), len(turn.images) - turn.synthetic_count
    synthetic = np.arange(min(COLUMNS * (ROWS - bool(probes)), turn.synthetic_count))
    indices = np.concatenate([synthetic, turn.synthetic_count + np.arange(min(MAX_PROBES, probes))])
    marked = marked_image(indices)
    left, middle, right = st.columns([4, 6, 4.8], gap="medium")
    with left:
        heading(
            1,
            f"The batch: {turn.synthetic_count} [[synthetic]] images"
            + (f" and {probes} [[noise probes]]" if probes else ""),
            f"{len(indices)} shown" + (", probes last" if probes else ""),
        )
        titles = [_title(run, turn, index, names) for index in range(len(turn.images))]
        roles = None if turn.fragile_mask is None else [_group(turn.fragile_mask, index) for index in indices]
        image_wall(run, turn.images, indices, marked, titles, roles)
        _split(run, turn)
    with middle:
        heading(3, "What [[teacher T|teacher]] and [[student S|student]] answer", "the image marked")
        answers = {"teacher": turn.teacher_logits[marked]}
        if marked < turn.synthetic_count and not np.array_equal(
            turn.target_logits, turn.teacher_logits[: turn.synthetic_count]
        ):
            answers[PROJECTED] = turn.target_logits[marked]
        answers |= {"student": turn.student_logits_before[marked], "after": turn.student_logits_after[marked]}
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


def _group(fragile: np.ndarray, index: int) -> elements.Role:
    return "fragile" if fragile[index] else "robust"


def _title(run: DistillationRun, turn: StudentTurn, index: int, names: Sequence[str]) -> str:
    """The tooltip of an image: both networks' labels, the image's group and its use."""
    teacher, student = turn.teacher_logits[index].argmax(), turn.student_logits_before[index].argmax()
    labels = f"teacher: {names[teacher]} · student: {names[student]}"
    if turn.fragile_mask is None:
        return labels
    if turn.forget_mask[index]:
        use = "trapped, forgotten" if run.spec.escape.kind == "atesc" else "held back"
    else:
        use = "teaches" if index < turn.synthetic_count else "a probe, which never teaches"
    return f"{labels} · {_group(turn.fragile_mask, index)}, {use}"


def _split(run: DistillationRun, turn: StudentTurn) -> None:
    """Draw how the batch was split into fragile and robust images, or why it was not."""
    escape, split, n = run.spec.escape, run.spec.split, turn.synthetic_count
    if turn.fragile_mask is None:
        heading(2, "No attack", "")
        elements.caption(
            f"Warm-up, epoch {turn.epoch} of {escape.warmup_epochs}: nothing is split yet, every image teaches."
            if escape.splits
            else "This run splits nothing: every image teaches."
        )
        return
    fragile = turn.fragile_mask[:n].sum()
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
    limit = ", robust ones whose label is [[over-represented]] among them" if escape.overrepresented_only else ""
    teaching, held_back = turn.teaching_mask.sum(), turn.forget_mask[:n].sum()
    text = f"[[teaches|Teach]]: {teaching} of {n}. [[trapped|Held back]]: {held_back}{limit}."
    if probes := len(turn.images) - n:
        robust, trapped = (~turn.fragile_mask[n:]).sum(), turn.forget_mask[n:].sum()
        text += f" Of {probes} probes {robust} are robust, {trapped} of these trapped."
    paragraph(text)


def _losses(run: DistillationRun, turn: StudentTurn) -> None:
    escape = run.spec.escape
    distillation = f"{LOSSES['s/fragile'][0]}, mean over the {turn.teaching_mask.sum()} that teach"
    forgetting = f"Forgetting, [[λ]] · [[{FORGETTING[escape.forgetting]}]], mean over {turn.forget_mask.sum()} trapped"
    rows: list[tuple[str | Html, ...]] = []
    for name, value in turn.losses.items():
        title: str | Html
        if name == "s/robust":
            title = weighted_term(forgetting, escape.weight, value, 3)
        else:
            title = {"s/fragile": annotated(distillation), "s/total": TOTAL}[name]
        rows.append((title, decimal(value, 3), decimal(turn.losses_after[name], 3)))
    loss_table("before", "after", rows=rows)
    if run.spec.temperature != 1:
        elements.caption(f"KL at temperature {run.spec.temperature:g}, times its square.")


def _tiles(turn: StudentTurn) -> Iterable[Html]:
    """Tiles with the change of the student's answers, on the teaching images and on the trapped images."""
    n, teaching, trapped = turn.synthetic_count, turn.teaching_mask, turn.forget_mask
    before, after = turn.student_logits_before, turn.student_logits_after
    if teaching.any():
        yield change_tile(
            "Agrees with what teaches",
            agreement(before[:n][teaching], turn.target_logits[teaching]),
            agreement(after[:n][teaching], turn.target_logits[teaching]),
            f"{teaching.sum()} images",
        )
    if trapped.any():
        yield change_tile(
            "Gives T's label to the trapped",
            agreement(before[trapped], turn.teacher_logits[trapped]),
            agreement(after[trapped], turn.teacher_logits[trapped]),
            f"{trapped.sum()} images",
            role="robust",
        )
