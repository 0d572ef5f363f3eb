"""TODO: what this module is."""

from __future__ import annotations

import numpy as np

from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.data.teachers import cards
from pages.shared.state.threshold import threshold_in_view
from pages.shared.ui import elements, formats
from pages.shared.ui.gallery import gallery
from pages.shared.ui.polling import is_live

WALL = 56  # images of the wall


def image_wall(run: DistillationRun, shown: Snapshot | None, count: int = WALL, columns: int = 8) -> None:
    """Synthetic images outlined by group, fragile first."""
    if shown is None:
        elements.caption("The first ones are kept at the end of epoch 1." if is_live(run) else "None were kept.")
        return
    line, score = threshold_in_view(run, shown), shown.scores[run.spec.split.score]
    fragile = score <= line
    chosen = np.argsort(score[:count], kind="stable")
    gallery(
        shown.images[chosen],
        columns=columns,
        roles=["fragile" if fragile[i] else "robust" for i in chosen],
        titles=image_titles(run, shown, fragile, chosen),
    )
    share = f"{formats.per_cent(100 * fragile.mean())} %"
    elements.row(
        elements.swatch("fragile", f"fragile {share}", outline=True),
        elements.swatch("robust", outline=True),
        elements.muted(f"of {formats.count(len(score))} images · epoch {shown.epoch}"),
    )


def image_titles(run: DistillationRun, shown: Snapshot, fragile: np.ndarray, chosen: np.ndarray) -> list[str]:
    """What a pointer sees over each image: the teacher's class and confidence, the score, the group."""
    card, score = cards().get(run.spec.teacher), run.spec.split.score
    classes = card.class_names if card else range(shown.teacher_probs.shape[1])
    titles = []
    for index in chosen:
        sure, value = shown.teacher_probs[index], shown.scores[score][index]
        number = (
            f"{value:.2f}{SCORE_UNITS[score]}"
            if np.isfinite(value)
            else f"> {run.spec.split.max_epsilon:g}{SCORE_UNITS[score]}"
        )
        titles.append(
            f"{classes[int(sure.argmax())]} · {100 * sure.max():.1f} % sure · {SCORE_NAMES[score]} {number} "
            f"· {'fragile' if fragile[index] else 'robust'}"
        )
    return titles
