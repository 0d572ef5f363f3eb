"""How well a score tells ID from OOD on real data, and thresholds that need no real data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from torch import Tensor

from atesc_core.robustness.attack import Model, flips
from atesc_core.robustness.scores import predictions


def auroc(id_scores: np.ndarray, ood_scores: np.ndarray) -> float:
    """Probability that an OOD image scores more robust than an ID image, 0..1; ∞ counts as largest.

    Raises ValueError where either side is empty.
    """
    if not len(id_scores) or not len(ood_scores):
        raise ValueError(f"auroc: {len(id_scores)} ID and {len(ood_scores)} OOD scores; expected at least one of each")
    scores = np.concatenate([id_scores, ood_scores]).astype(float)
    is_ood = np.repeat([0, 1], [len(id_scores), len(ood_scores)])
    return float(roc_auc_score(is_ood, np.nan_to_num(scores, posinf=np.finfo(np.float32).max)))


def robust_share(teacher: Model, x: Tensor, epsilons: list[float], steps: int) -> list[float]:
    """Per cent of the images x, (N, 3, H, W), whose prediction survives the split's attack at each ε (1/255)."""
    y = predictions(teacher, x)
    return [100 * (~flips(teacher, x, y, epsilon, steps)).float().mean().item() for epsilon in epsilons]


def _finite(scores: np.ndarray) -> np.ndarray:
    """Scores with ∞ put at the largest finite one (0 where none is), so that they can be binned and fitted."""
    scores = np.asarray(scores, float)
    finite = scores[np.isfinite(scores)]
    return np.where(np.isfinite(scores), scores, finite.max(initial=0.0))


def valley(scores: np.ndarray) -> float:
    """Otsu's threshold (1979): the cut that leaves the least variance inside the two groups."""
    ordered = np.sort(_finite(scores))
    n = len(ordered)
    below = np.arange(1, n)
    total = np.cumsum(ordered)[:-1]
    between = (total[-1] + ordered[-1]) * below / n - total
    spread = between**2 / (below * (n - below))
    at = int(spread.argmax())
    return float((ordered[at] + ordered[at + 1]) / 2)


def mixture(scores: np.ndarray) -> float:
    """Where a two-component Gaussian mixture is undecided, between its means."""
    values = _finite(scores)
    fit = GaussianMixture(2, random_state=0, n_init=2).fit(values[:, None])
    low, high = np.sort(fit.means_[:, 0])
    grid = np.linspace(low, high, 256)
    upper = fit.predict_proba(grid[:, None])[:, int(fit.means_[:, 0].argmax())]
    return float(grid[int(np.abs(upper - 0.5).argmin())])


def median(scores: np.ndarray) -> float:
    """Half of the images on each side."""
    return float(np.median(_finite(scores)))


SUGGESTIONS: dict[str, Callable[[np.ndarray], float]] = {"valley": valley, "mixture": mixture, "median": median}
