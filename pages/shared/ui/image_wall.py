"""A grid of an epoch's synthetic images, outlined by group."""

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


def image_wall(run: DistillationRun, snapshot: Snapshot | None, count: int = WALL, columns: int = 8) -> None:
    """Draw synthetic images outlined by group, the most fragile first.

    Args:
        run: the run of the images.
        snapshot: the images of one epoch; None draws a notice that there are none yet.
        count: largest number of images to draw.
        columns: images in a row.
    """
    if snapshot is None:
        elements.caption(
            "The first synthetic images are kept at the end of epoch 1."
            if is_live(run)
            else "No synthetic images were kept."
        )
        return
    scores = snapshot.scores[run.spec.split.score]
    fragile = scores <= threshold_in_view(run, snapshot)
    order = np.argsort(scores[:count], kind="stable")
    gallery(
        snapshot.images[order],
        columns=columns,
        roles=["fragile" if fragile[index] else "robust" for index in order],
        titles=_titles(run, snapshot, fragile, order),
    )
    share = f"{formats.per_cent(100 * fragile.mean())} %"
    elements.row(
        elements.swatch("fragile", f"fragile {share}", outline=True),
        elements.swatch("robust", outline=True),
        elements.muted(f"of {formats.count(len(scores))} images · epoch {snapshot.epoch}"),
    )


def _titles(run: DistillationRun, snapshot: Snapshot, fragile: np.ndarray, indices: np.ndarray) -> list[str]:
    """The tooltip of each image: the teacher's class and confidence, the score, the group."""
    card, score = cards().get(run.spec.teacher), run.spec.split.score
    class_names = card.class_names if card else range(snapshot.teacher_probs.shape[1])
    titles = []
    for index in indices:
        probabilities, value = snapshot.teacher_probs[index], snapshot.scores[score][index]
        number = (
            f"{value:.2f}{SCORE_UNITS[score]}"
            if np.isfinite(value)
            else f"> {run.spec.split.max_epsilon:g}{SCORE_UNITS[score]}"
        )
        titles.append(
            f"{class_names[int(probabilities.argmax())]} · {100 * probabilities.max():.1f} % sure · "
            f"{SCORE_NAMES[score]} {number} · {'fragile' if fragile[index] else 'robust'}"
        )
    return titles
