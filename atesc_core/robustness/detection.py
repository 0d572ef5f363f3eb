"""Scores as detectors of OOD images, and thresholds from synthetic images alone. NumPy only, no torch."""

from __future__ import annotations

from collections.abc import Callable
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


def _finite(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores with ∞ replaced by the largest finite one (0 if there is none), so that they can be binned and fitted."""
    scores = np.asarray(scores, float)
    finite = scores[np.isfinite(scores)]
    return np.where(np.isfinite(scores), scores, finite.max(initial=0.0))


def otsu(scores: ArrayLike) -> float:
    """Otsu's threshold (1979): the cut that leaves the least variance inside the two groups."""
    ordered = np.sort(_finite(scores))
    n = len(ordered)
    below = np.arange(1, n)
    total = np.cumsum(ordered)[:-1]
    between = (total[-1] + ordered[-1]) * below / n - total
    spread = between**2 / (below * (n - below))
    cut = int(spread.argmax())
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def mixture(scores: ArrayLike) -> float:
    """The point between the means of a two-component Gaussian mixture where both components are equally likely."""
    values = _finite(scores)
    from sklearn.mixture import GaussianMixture  # slow to import, and rarely needed

    fit = GaussianMixture(2, random_state=0, n_init=2).fit(values[:, None])
    low, high = np.sort(fit.means_[:, 0])
    grid = np.linspace(low, high, 256)
    upper = fit.predict_proba(grid[:, None])[:, int(fit.means_[:, 0].argmax())]
    return float(grid[int(np.abs(upper - 0.5).argmin())])


def at_share(scores: ArrayLike, share: float = 0.5) -> float:
    """The threshold at which a given share of the images, 0..1, is fragile: half of them by default."""
    return float(np.quantile(_finite(scores), share))


SUGGESTIONS: dict[str, Callable[..., float]] = {"otsu": otsu, "mixture": mixture, "share": at_share}


def suggest(rule: str, scores: ArrayLike, share: float) -> float:
    """The threshold that a rule finds in the scores of synthetic images. No real data [this lab].

    Args:
        rule: a name in SUGGESTIONS, or ``auto``, which means Otsu's.
        scores: (N,).
        share: share of fragile images, 0..1, for the rule ``share``.
    """
    if rule == "share":
        return at_share(scores, share)
    return SUGGESTIONS["otsu" if rule == "auto" else rule](scores)
