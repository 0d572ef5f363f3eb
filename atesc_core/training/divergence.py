"""KL divergence between the outputs of two classifiers, negative learning, and means over a part of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def kl_divergence(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(T ‖ S) of each image in nats, times temperature² to preserve the size of the gradient (Hinton et al., 2015).

    Args:
        teacher: (B, C) logits.
        student: (B, C) logits.
        temperature: both are divided by it.

    Returns:
        (B,)
    """
    log_t = (teacher / temperature).log_softmax(1)
    log_s = (student / temperature).log_softmax(1)
    return F.kl_div(log_s, log_t, log_target=True, reduction="none").sum(1) * temperature**2


def complement_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """−log(1 − p_y) of each image, (B,): negative learning (Kim et al., 2019), 0 where p_y = 0.

    Computed from the log-sum of the other classes, which stays finite as p_y → 1. logits: (B, C); labels: (B,).
    """
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return logits.logsumexp(1) - others.logsumexp(1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` (B,) where ``mask`` (B,) is true; 0, with a zero gradient, if the mask is false everywhere."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)


def total_loss(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of scalar loss terms, added in the order of the mapping, so that the result is bit-identical."""
    first, *other_terms = terms.values()
    total = first
    for term in other_terms:
        total = total + term
    return total


def detached(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms without their gradient."""
    return {name: value.detach() for name, value in terms.items()}
