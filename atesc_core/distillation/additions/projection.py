"""Projection of the trap direction: one direction of the teacher's features is removed before the head [this lab].

The MMD term of an NTL teacher separates the features of OOD images from those of ID images. The split gives the
direction: from the mean feature of fragile images to the mean feature of images to be forgotten. The component of the
features along this direction is removed before the head; ID images have almost none. Measured: docs/results.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atesc_core.models import Classifier

DECAY = 0.99  # of running sums, per batch: about the last hundred batches count


class TrapProjection(nn.Module):
    """The teacher without the direction of its trap: h(f − max(0, (f − μ)·w) w).

    f and h are the teacher's features and head, μ is the mean feature of fragile images and w the unit vector from μ to
    the mean feature of trapped images. Until it has observed both groups, it is equal to the teacher.
    """

    sums: Tensor  # (2, F): row 0 sums the features of trapped, row 1 of fragile images
    counts: Tensor  # (2,)

    def __init__(self, teacher: Classifier):
        super().__init__()
        self.teacher = teacher
        weight = teacher.head.weight
        self.register_buffer("sums", weight.new_zeros(2, weight.shape[1], dtype=torch.float32))
        self.register_buffer("counts", weight.new_zeros(2, dtype=torch.float32))

    @torch.no_grad()
    def observe(self, features: Tensor, trapped: Tensor, fragile: Tensor) -> None:
        """Adds a batch to both running means. features: (B, F); trapped, fragile: (B,) bool."""
        groups = torch.stack([trapped, fragile]).float()
        self.sums.mul_(DECAY).add_(groups @ features.float())
        self.counts.mul_(DECAY).add_(groups.sum(1))

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, C) of teacher features (B, F)."""
        trapped_mean, fragile_mean = self.sums / self.counts.clamp_min(1e-6)[:, None]
        direction = nn.functional.normalize(trapped_mean - fragile_mean, dim=0) * (self.counts > 0).all()
        along = ((features.float() - fragile_mean) @ direction).clamp_min(0)
        logits: Tensor = self.teacher.head((features.float() - along[:, None] * direction).to(features.dtype))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns logits, (B, C)."""
        return self.head(self.teacher.features(x))

    def running_sums(self) -> dict[str, Tensor]:
        """Sums and counts of both groups, for a checkpoint; the teacher is not part of them."""
        return {"sums": self.sums, "counts": self.counts}

    def load_running_sums(self, state: dict[str, Tensor]) -> None:
        """Restores the state that ``running_sums`` returned."""
        self.sums.copy_(state["sums"])
        self.counts.copy_(state["counts"])
