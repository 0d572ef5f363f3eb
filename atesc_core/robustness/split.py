"""The paper's first idea: an attack tells the two kinds of synthetic image apart.

An image whose teacher prediction an adversarial perturbation changes is *fragile* (close to ID); one
that keeps it is *robust* (close to OOD) [Hong et al., ICML 2025].
"""

from __future__ import annotations

import torch
from torch import Tensor

from atesc_core.robustness.attack import Model, pgd
from atesc_core.robustness.scores import SCORES, predictions
from atesc_core.spec import SplitSpec


def split_by_score(scores: Tensor, threshold: float) -> Tensor:
    """fragile = score ≤ threshold; robust = score above it. scores: (B,); returns (B,) bool, true = fragile."""
    return scores <= threshold


def fragile(teacher: Model, x: Tensor, split: SplitSpec, threshold: float, generator: torch.Generator) -> Tensor:
    """Which images are fragile: (B, 3, H, W) in [0, 1] -> (B,) bool.

    For ``min_eps`` one attack at ε = threshold decides, and images leave it once flipped: no bisection
    is needed to know on which side of the line a score lies.
    """
    if split.score == "min_eps":
        y = predictions(teacher, x)
        return pgd(teacher, x, y, threshold, split.steps, generator, leave_when_flipped=True).flipped
    return split_by_score(SCORES[split.score](teacher, x, split, generator), threshold)
