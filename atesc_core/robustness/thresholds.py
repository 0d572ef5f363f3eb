"""Thresholds on scores, found without real data. No torch.

A threshold of ∞ means *one group*: every image is fragile, none is held back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MIN_IMAGES = 200  # fewer scores are no evidence for two groups
MIN_SHARE = 0.04  # of the images; a smaller group does not count
SIGNIFICANCE = 0.02  # largest p-value of the test for a second group
MAX_DENSITY = 0.5  # of the scores between two groups, over that of the lower peak
TAIL = 0.01  # share of the images at each end that the test leaves out
CELLS, RESAMPLES = 256, 200  # of the density's grid, over the range of the scores; of the bootstrap


def finite_scores(scores: ArrayLike) -> Floats:
    """Scores with ∞ replaced by the largest finite one (0 if there is none), so that they can be binned and fitted."""
    scores = np.asarray(scores, float)
    finite = scores[np.isfinite(scores)]
    return np.where(np.isfinite(scores), scores, finite.max(initial=0.0))


def auto(scores: ArrayLike) -> float:
    """The lowest density between two groups of scores, where a test finds two; else ∞: one group.

    Two groups need Silverman's test (1981) for more than one mode at p < 2 %, a density between the modes of at most
    half the lower peak, and at least 4 % of the images in each. Fewer than 200 scores are one group. Images that no
    attack changes (∞) lie together, beyond the others; if they are the upper group, the threshold is the largest
    finite score.

    Silverman's test: the smallest bandwidth h at which a Gaussian kernel density has one mode is compared with samples
    drawn from that density; p is the share of samples that have more modes at h. Its samples come from the density on a
    grid; tails are left out, where unimodal samples have bumps too; and the other two conditions are there because
    the test alone finds two groups in 13 to 28 % of uniform samples [this lab].
    """
    scores = np.asarray(scores, float)
    finite = scores[np.isfinite(scores)]
    if len(scores) < MIN_IMAGES or not len(finite) or np.ptp(scores) == 0:
        return float("inf")
    cut = _lowest_density(_spread(scores))
    upper_share = float((scores > cut).mean()) if cut is not None else 0.0
    if cut is None or not MIN_SHARE <= upper_share <= 1 - MIN_SHARE:
        return float("inf")
    return float(min(cut, finite.max()))


def otsu(scores: ArrayLike) -> float:
    """Otsu's threshold (1979): the cut that leaves the least variance inside the two groups.

    It finds two groups in all scores. ∞ if none is finite.
    """
    if not np.isfinite(scores).any():
        return float("inf")
    ordered = np.sort(finite_scores(scores))
    n = len(ordered)
    if n == 1:
        return float(ordered[0])
    below = np.arange(1, n)
    total = np.cumsum(ordered)[:-1]
    between = (total[-1] + ordered[-1]) * below / n - total
    spread = between**2 / (below * (n - below))
    cut = int(spread.argmax())
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def mixture(scores: ArrayLike) -> float:
    """Where both Gaussians of a fitted mixture are equally likely; ∞ where one Gaussian has the lower BIC.

    The point is sought between the two means. Fewer than 200 scores are one group, as in ``auto``.
    """
    values = finite_scores(scores)
    if len(values) < MIN_IMAGES or np.ptp(values) == 0:
        return float("inf")
    from sklearn.mixture import GaussianMixture  # slow to import, and rarely needed

    one, two = (GaussianMixture(k, random_state=0, n_init=k).fit(values[:, None]) for k in (1, 2))
    if one.bic(values[:, None]) <= two.bic(values[:, None]):
        return float("inf")
    low, high = np.sort(two.means_[:, 0])
    grid = np.linspace(low, high, 256)
    upper = two.predict_proba(grid[:, None])[:, int(two.means_[:, 0].argmax())]
    return float(grid[int(np.abs(upper - 0.5).argmin())])


def at_share(scores: ArrayLike, share: float = 0.5) -> float:
    """The threshold at which a given share of the images, 0..1, is fragile: half of them by default.

    ∞ if no score is finite.
    """
    if not np.isfinite(scores).any():
        return float("inf")
    return float(np.quantile(finite_scores(scores), share))


SUGGESTIONS: dict[str, Callable[..., float]] = {"auto": auto, "otsu": otsu, "mixture": mixture, "share": at_share}


def suggest(rule: str, scores: ArrayLike, share: float) -> float:
    """The threshold that a rule finds in the scores of synthetic images; ∞: one group. No real data [this lab].

    Args:
        rule: a name in SUGGESTIONS.
        scores: (N,).
        share: share of fragile images, 0..1, for the rule ``share``.
    """
    return at_share(scores, share) if rule == "share" else SUGGESTIONS[rule](scores)


def _spread(scores: Floats) -> Floats:
    """Scores in ascending order, with equal ones spread evenly over the step of their grid; ∞ beyond all others.

    A bisection leaves min ε on a grid, and without this each of its values would be a mode.
    """
    finite = scores[np.isfinite(scores)]
    values, counts = np.unique(finite, return_counts=True)
    step = float(np.diff(values).min()) if len(values) > 2 else 0.0
    rank = np.arange(len(finite)) - np.repeat(np.cumsum(counts) - counts, counts)
    spread = np.repeat(values, counts) - step * (1 - (rank + 0.5) / np.repeat(counts, counts))
    beyond = values[-1] + (np.ptp(values) or 1.0)
    return np.append(spread, np.full(len(scores) - len(finite), beyond))


def _lowest_density(ordered: Floats) -> float | None:
    """The lowest density between the two highest modes of scores, ascending; None if the test finds one mode."""
    left_out = int(TAIL * len(ordered))
    trimmed = ordered[left_out : len(ordered) - left_out]
    low, high = float(trimmed[0]), float(trimmed[-1])
    if low == high:
        return None
    cell = (high - low) / CELLS
    index = np.minimum((trimmed - low) / cell, CELLS - 1).astype(int) + CELLS  # an empty range on each side
    counts = np.bincount(index, minlength=3 * CELLS).astype(float)
    several, one = 0.0, float(CELLS)  # bandwidths, in cells, with several modes and with one
    for _ in range(14):
        middle = (several + one) / 2
        if _is_mode(_smooth(counts, middle)).sum() > 1:
            several = middle
        else:
            one = middle
    density = _smooth(counts, one).clip(min=0)
    # Silverman shrinks the samples to the variance of the scores. A wider kernel on samples as they are is the same.
    wider = one * np.sqrt(1 + (one * cell) ** 2 / trimmed.var())
    samples = np.random.default_rng(0).multinomial(len(trimmed), density / density.sum(), RESAMPLES)
    if (_is_mode(_smooth(samples, wider)).sum(1) > 1).mean() >= SIGNIFICANCE:
        return None
    peaks = np.flatnonzero(_is_mode(_smooth(counts, several)))
    if len(peaks) < 2:
        return None
    heights = _smooth(counts, several)[peaks]
    left, right = np.sort(peaks[np.argsort(heights)[-2:]])
    finer = _smooth(counts, several / 2)
    lowest = left + int(finer[left : right + 1].argmin())
    if finer[lowest] > MAX_DENSITY * min(finer[:lowest].max(), finer[lowest:].max()):
        return None
    return float(low + (lowest - CELLS + 0.5) * cell)


def _smooth(counts: NDArray[np.generic], bandwidth: float) -> Floats:
    """Counts on a grid, (..., 3 CELLS), convolved with a Gaussian; ``bandwidth``: its standard deviation in cells."""
    size = 2 * counts.shape[-1]  # so that nothing wraps around
    gaussian = np.exp(-0.5 * (2 * np.pi * np.fft.rfftfreq(size) * bandwidth) ** 2)
    return np.fft.irfft(np.fft.rfft(counts, size) * gaussian, size)[..., : counts.shape[-1]]


def _is_mode(density: Floats) -> NDArray[np.bool_]:
    """Where a density, (..., G), has a local maximum: (..., G) bool. Rounding errors of the transform do not count."""
    before, after = np.roll(density, 1, -1), np.roll(density, -1, -1)
    high_enough = density > 1e-6 * density.max(-1, keepdims=True)
    modes: NDArray[np.bool_] = (density > before) & (density >= after) & high_enough
    return modes
