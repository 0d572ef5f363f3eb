"""TODO: what this module is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def kl_divergence(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(T ‖ S) of each image, (B,), times temperature² so that its gradient keeps its size (Hinton et al.)."""
    log_t = (teacher / temperature).log_softmax(1)
    log_s = (student / temperature).log_softmax(1)
    return F.kl_div(log_s, log_t, log_target=True, reduction="none").sum(1) * temperature**2


def masked_mean(values: Tensor, group: Tensor) -> Tensor:
    """Mean of ``values`` (B,) where ``group`` (B,) is true; 0 where it is empty."""
    return torch.where(group, values, 0.0).sum() / group.sum().clamp_min(1)
