"""Scores as detectors of OOD images: ROC curves, AUROC, precision and recall. NumPy only, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Roc:
    """The ROC curve of a score as a detector of OOD images: a score above the threshold, robust, means OOD.

    K points, from no robust image to all images robust.
    """

    thresholds: NDArray[np.float64]  # (K,) decreasing; the last is −∞
    false_alarms: NDArray[np.float64]  # (K,) share of ID images that are robust, 0..1
    recall: NDArray[np.float64]  # (K,) share of OOD images that are robust, 0..1

    @property
    def auroc(self) -> float:
        """Probability that an OOD image scores higher than an ID image, 0..1; equal scores count as half."""
        return float(np.trapezoid(self.recall, self.false_alarms))


@dataclass(frozen=True)
class Rates:
    """The split at one threshold as a detector of OOD images: robust means OOD."""

    robust: int  # images
    precision: float | None  # share of robust images that are OOD, 0..1; None if no image is robust
    recall: float | None  # share of OOD images that are robust, 0..1; None without OOD images
    false_alarms: float | None  # share of ID images that are robust, 0..1; None without ID images


def roc(scores: ArrayLike, is_ood: ArrayLike) -> Roc:
    """The ROC curve of scores, (N,), where ∞ is the largest. is_ood: (N,) bool.

    Raises:
        ValueError: there are no ID or no OOD images.
    """
    scores, is_ood = np.asarray(scores, float), np.asarray(is_ood, bool)
    if not is_ood.any() or is_ood.all():
        raise ValueError(f"roc: {(~is_ood).sum()} ID and {is_ood.sum()} OOD scores; expected at least one of each")
    thresholds = np.append(np.unique(scores)[::-1], -np.inf)
    above = [
        1 - np.searchsorted(np.sort(side), thresholds, side="right") / len(side)
        for side in (scores[~is_ood], scores[is_ood])
    ]
    return Roc(thresholds, *above)


def auroc(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Probability that an OOD image scores higher than an ID image, 0..1; ∞ counts as largest.

    Raises:
        ValueError: there are no ID or no OOD images.
    """
    return roc(*labelled(id_scores, ood_scores)).auroc


def labelled(id_scores: ArrayLike, ood_scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """All scores, (N,), ID images first, and (N,) bool, which are OOD."""
    sides = [np.asarray(side, float) for side in (id_scores, ood_scores)]
    return np.concatenate(sides), np.repeat([False, True], [len(side) for side in sides])


def rates(scores: ArrayLike, is_ood: ArrayLike, threshold: float) -> Rates:
    """Precision, recall and false alarms of "score > threshold means OOD". scores: (N,); is_ood: (N,) bool."""
    robust, is_ood = np.asarray(scores, float) > threshold, np.asarray(is_ood, bool)

    def share(hits: NDArray[np.bool_]) -> float | None:
        return float(hits.mean()) if len(hits) else None

    return Rates(int(robust.sum()), share(is_ood[robust]), share(robust[is_ood]), share(robust[~is_ood]))
