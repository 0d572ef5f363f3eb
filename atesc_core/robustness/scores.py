"""Robustness scores: continuous, one value an image, larger = more robust.

The paper's split asks only whether an attack flips the teacher (Hong et al., 2025); a score lets a
threshold be moved [ours]. Each is a function of (teacher, x, split, generator) returning (B,) float32.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.robustness.attack import Model, min_epsilon, pgd
from atesc_core.spec import SplitSpec

Score = Callable[[Model, Tensor, SplitSpec, torch.Generator], Tensor]


@torch.no_grad()
def predictions(teacher: Model, x: Tensor) -> Tensor:
    """arg max T(x): (B,) int64."""
    return teacher(x).argmax(1)


def min_eps(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Smallest ε, in 1/255, that changes the prediction; ∞ beyond ``split.max_epsilon``.

    The paper's split at budget ε is exactly ``min_eps > ε``: the threshold is the attack budget.
    """
    return min_epsilon(teacher, x, predictions(teacher, x), split.max_epsilon, split.steps)


def margin(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Smallest (logit of y − best other logit) on the attack's path at ``split.epsilon``.

    The paper's split at that budget is exactly ``margin > 0``.
    """
    return pgd(teacher, x, predictions(teacher, x), split.epsilon, split.steps, generator).margin


def kl(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """−KL(T(x) ‖ T(x_adv)) in nats at ``split.epsilon``: 0 where the attack changes nothing."""
    attack = pgd(teacher, x, predictions(teacher, x), split.epsilon, split.steps, generator)
    with torch.no_grad():
        before, after = teacher(x).float().log_softmax(1), teacher(attack.adversarial).float().log_softmax(1)
    return -F.kl_div(after, before, log_target=True, reduction="none").sum(1)


SCORES: dict[str, Score] = {"min_eps": min_eps, "margin": margin, "kl": kl}


def all_scores(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator,
               batch_size: int = 256) -> dict[str, Tensor]:
    """Every score of every image, in batches: name -> (N,) on x's device."""
    return {name: torch.cat([score(teacher, part, split, generator) for part in x.split(batch_size)])
            for name, score in SCORES.items()}
