"""The paper's first idea: an attack tells the two kinds of synthetic image apart.

An image whose teacher prediction an adversarial perturbation changes is *fragile* (close to ID); one
that keeps it is *robust* (close to OOD) [Hong et al., ICML 2025].
"""

from __future__ import annotations

import torch
from torch import Tensor

from atesc_core.robustness.attack import Model, flips
from atesc_core.robustness.scores import SCORES
from atesc_core.specs.run import SplitSpec


def split_by_score(scores: Tensor, threshold: float) -> Tensor:
    """fragile = score ≤ threshold; robust = score above it. scores: (B,); returns (B,) bool, true = fragile."""
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
    """Which images are fragile: x (B, 3, H, W) in [0, 1], y (B,) int64 the teacher's predictions -> (B,) bool.

    For ``min_eps`` one attack at ε = threshold decides: no bisection is needed to know on which side of the
    line a score lies. It begins at ``logits``, the teacher's of x, where x is in their graph.
    """
    if split.score == "min_eps":
        return flips(teacher, x, y, threshold, split.steps, logits)
    return split_by_score(SCORES[split.score](teacher, x.detach(), split, generator), threshold)
