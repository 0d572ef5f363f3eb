"""Noise images: strange to any teacher, made from nothing [this lab].

A non-transferable teacher gives anything strange its OOD label, and gives it robustly; a plainly trained
one scatters noise over its labels, and its answers are fragile. So probes need no real data to show a trap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import memory_format
from atesc_core.models import Classifier
from atesc_core.robustness.split import fragile
from atesc_core.specs.run import SplitSpec

STORED = 1024
COARSENESS = (1, 2, 3, 4, 6, 8, 16)  # side of the random grid that is scaled up to an image


def noise_probes(count: int, image_side: int, random: torch.Generator) -> Tensor:
    """``count`` images of uniform noise, (count, 3, H, W) in [0, 1]: grey and coloured, flat to pixel-fine."""
    kinds = [(side, channels) for side in COARSENESS for channels in (1, 3)]
    images = []
    for at, (side, channels) in enumerate(kinds):
        share = count * (at + 1) // len(kinds) - count * at // len(kinds)
        grid = torch.rand(share, channels, side, side, generator=random, device=random.device)
        if share:
            scaled = F.interpolate(grid, size=(image_side, image_side), mode="bicubic", align_corners=False)
            images.append(scaled.clamp(0, 1).expand(-1, 3, -1, -1))
    return torch.cat(images)


class Probes:
    """Noise images of one seed, with what the teacher makes of them: each is looked at once, and attacked once a
    threshold, however often it is drawn."""

    def __init__(self, teacher: Classifier, image_side: int, split: SplitSpec, seed: int, device: torch.device):
        self.teacher, self.split, self.threshold = teacher, split, None
        self.seed, self.random = seed, torch.Generator(device)
        images = noise_probes(STORED, image_side, self.random.manual_seed(seed))
        self.images = images.contiguous(memory_format=memory_format(device))
        with torch.no_grad():
            self.features = teacher.features(self.images)
            self.labels = teacher.head(self.features).argmax(1)

    def draw(self, count: int, threshold: float, drawing: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """``count`` probes: images (count, 3, H, W) in [0, 1], the teacher's features (count, F), and which are
        fragile, (count,) bool."""
        if threshold != self.threshold:
            random = self.random.manual_seed(self.seed)  # so that a resumed run splits them alike
            self.fragile = fragile(self.teacher, self.images, self.labels, self.split, threshold, random)
            self.threshold = threshold
        at = torch.randint(STORED, (count,), generator=drawing, device=drawing.device)
        return self.images[at], self.features[at], self.fragile[at]
