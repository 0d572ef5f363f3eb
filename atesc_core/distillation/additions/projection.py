"""The teacher without its trap: a direction of its feature space, found by the split, is closed to its head [this lab].

An NTL teacher keeps OOD images away from ID ones in feature space (its MMD term asks for that). The split shows
where: from the mean feature of the fragile images to that of the trapped ones. What lies along this direction is
taken out before the head reads the features; ID images have next to nothing there. Measured: docs/results.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atesc_core.models import Classifier

KEPT = 0.99  # of what was seen before, a step: about the last hundred batches count


class Untrapped(nn.Module):
    """h(f − max(0, (f − μ)·w) w), with teacher features f and head h, μ the mean feature of fragile images and w
    the unit vector from μ to that of trapped images. Until both groups were seen it answers as the teacher does."""

    sums: Tensor  # (2, F): of the features of trapped, of fragile images
    counts: Tensor  # (2,)

    def __init__(self, teacher: Classifier):
        super().__init__()
        self.teacher = teacher
        like = teacher.head.weight
        self.register_buffer("sums", like.new_zeros(2, like.shape[1], dtype=torch.float32))
        self.register_buffer("counts", like.new_zeros(2, dtype=torch.float32))

    @torch.no_grad()
    def observe(self, features: Tensor, trapped: Tensor, fragile: Tensor) -> None:
        """A batch's part of both means. features: (B, F); trapped and fragile: (B,) bool."""
        groups = torch.stack([trapped, fragile]).float()
        self.sums.mul_(KEPT).add_(groups @ features.float())
        self.counts.mul_(KEPT).add_(groups.sum(1))

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, C) of teacher features (B, F)."""
        trapped_mean, fragile_mean = self.sums / self.counts.clamp_min(1e-6)[:, None]
        direction = nn.functional.normalize(trapped_mean - fragile_mean, dim=0) * (self.counts > 0).all()
        along = ((features.float() - fragile_mean) @ direction).clamp_min(0)
        return self.teacher.head((features.float() - along[:, None] * direction).to(features.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns logits, (B, C)."""
        return self.head(self.teacher.features(x))

    def state(self) -> dict[str, Tensor]:
        """Both sums and counts; the teacher is not part of it."""
        return {"sums": self.sums, "counts": self.counts}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.sums.copy_(state["sums"])
        self.counts.copy_(state["counts"])
