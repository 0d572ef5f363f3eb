"""Thresholds on scores, found without real data: Otsu, a mixture of two Gaussians, a given share. No torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def finite_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores with ∞ replaced by the largest finite one (0 if there is none), so that they can be binned and fitted."""
    scores = np.asarray(scores, float)
    finite = scores[np.isfinite(scores)]
    return np.where(np.isfinite(scores), scores, finite.max(initial=0.0))


def otsu(scores: ArrayLike) -> float:
    """Otsu's threshold (1979): the cut that leaves the least variance inside the two groups."""
    ordered = np.sort(finite_scores(scores))
    n = len(ordered)
    below = np.arange(1, n)
    total = np.cumsum(ordered)[:-1]
    between = (total[-1] + ordered[-1]) * below / n - total
    spread = between**2 / (below * (n - below))
    cut = int(spread.argmax())
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def mixture(scores: ArrayLike) -> float:
    """The point between the means of a two-component Gaussian mixture where both components are equally likely."""
    values = finite_scores(scores)
    from sklearn.mixture import GaussianMixture  # slow to import, and rarely needed

    fit = GaussianMixture(2, random_state=0, n_init=2).fit(values[:, None])
    low, high = np.sort(fit.means_[:, 0])
    grid = np.linspace(low, high, 256)
    upper = fit.predict_proba(grid[:, None])[:, int(fit.means_[:, 0].argmax())]
    return float(grid[int(np.abs(upper - 0.5).argmin())])


def at_share(scores: ArrayLike, share: float = 0.5) -> float:
    """The threshold at which a given share of the images, 0..1, is fragile: half of them by default."""
    return float(np.quantile(finite_scores(scores), share))


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
