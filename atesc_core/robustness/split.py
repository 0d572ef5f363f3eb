"""The paper's first idea: an adversarial attack separates synthetic images close to ID from those close to OOD.

An image is *fragile* (close to ID) when a small adversarial perturbation changes the teacher's prediction, and
*robust* (close to OOD) when none does [Hong et al., ICML 2025].
"""

from __future__ import annotations

import torch
from torch import Tensor

from atesc_core.robustness.attack import Model, flips
from atesc_core.robustness.scores import SCORES
from atesc_core.specs.run import SplitSpec


def split_by_score(scores: Tensor, threshold: float) -> Tensor:
    """Which images are fragile, (B,) bool: score ≤ threshold. Robust: score above it. scores: (B,)."""
    return scores <= threshold


def fragile(
    teacher: Model,
    x: Tensor,
    y: Tensor,
    split: SplitSpec,
    threshold: float,
    generator: torch.Generator,
    logits: Tensor | None = None,
) -> Tensor:
    """Which images are fragile at the threshold, (B,) bool.

    For ``min_eps``, one attack at ε = threshold is enough to find the side of the threshold, without a bisection.

    Args:
        teacher: the attacked model.
        x: (B, 3, H, W) in [0, 1].
        y: (B,) int64, the teacher's predictions.
        split: score and attack.
        threshold: in units of the score; ∞: every image is fragile, and none is attacked.
        generator: random generator, for scores that need random numbers.
        logits: (B, C), the teacher's logits of ``x``, with a graph to ``x``. The attack starts from them.
    """
    if threshold == float("inf"):
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    if split.score == "min_eps":
        return flips(teacher, x, y, threshold, split.steps, logits)
    return split_by_score(SCORES[split.score](teacher, x.detach(), split, generator), threshold)
