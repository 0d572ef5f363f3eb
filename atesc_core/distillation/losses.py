"""The paper's second idea: what the two groups of synthetic images teach. Pure functions of logits.

Logits are (B, C); ``group`` is a (B,) bool mask of the images that count. A loss over an empty group
is 0 with a zero gradient. KL is in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from atesc_core.training.divergence import kl_divergence, masked_mean


def ckd(teacher: Tensor, student: Tensor, fragile: Tensor, temperature: float = 1.0) -> Tensor:
    """Calibrated distillation: mean KL(T ‖ S) over the fragile group [paper]."""
    return masked_mean(kl_divergence(teacher, student, temperature), fragile)


def negative_kl(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """−min(KL(T ‖ S), clamp): away from the teacher, until ``clamp`` nats away [this lab: the bound]. (B,)"""
    return -kl_divergence(teacher, student).clamp(max=clamp)


def uniform(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """KL(U ‖ S): towards knowing nothing [this lab]. (B,); ``teacher`` and ``clamp`` are not needed."""
    return -student.log_softmax(1).mean(1) - torch.log(torch.tensor(float(student.shape[1])))


def negative_learning(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """−log(1 − S_y), y = arg max T: only the teacher's label is unlearned; 0 once it is gone [this lab]. (B,)

    Written through the other classes' log-sum, which stays finite as S_y → 1.
    """
    y = teacher.argmax(1, keepdim=True)
    others = student.scatter(1, y, float("-inf"))
    return student.logsumexp(1) - others.logsumexp(1)


FORGETTING: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "negative_kl": negative_kl,
    "uniform": uniform,
    "negative_learning": negative_learning,
}
