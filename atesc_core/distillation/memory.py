"""Trapped images are rare in a batch; a memory of them lets every step forget as much [ours]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Memory:
    """A ring of images and the teacher's logits for them, on the device, without a host sync.

    One slot more than ``capacity`` takes what is not to be kept.
    """

    def __init__(self, capacity: int, image_side: int, num_classes: int, random: torch.Generator):
        self.capacity, self.random = capacity, random
        self.images = torch.zeros(capacity + 1, 3, image_side, image_side, device=random.device)
        self.logits = torch.zeros(capacity + 1, num_classes, device=random.device)
        self.added = torch.zeros((), dtype=torch.long, device=random.device)

    def add(self, images: Tensor, logits: Tensor, keep: Tensor) -> None:
        """Remember the images where ``keep``, (B,) bool, is true. images: (B, 3, H, W); logits: (B, C)."""
        place = (self.added + keep.cumsum(0) - 1) % self.capacity
        place = torch.where(keep, place, self.capacity)
        self.images[place] = images
        self.logits[place] = logits
        self.added += keep.sum()

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """(images, logits, there): ``count`` of each, with replacement; ``there`` is false while it is empty."""
        filled = self.added.clamp(max=self.capacity)
        place = (torch.rand(count, generator=self.random, device=self.random.device) * filled).long()
        return self.images[place], self.logits[place], (filled > 0).expand(count)

    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images, "logits": self.logits, "added": self.added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            getattr(self, name).copy_(value)
