"""Noise images, which are far from any domain and need no data [this lab].

An NTL teacher gives its OOD label to all unusual images, with robust predictions. A plainly trained teacher gives
noise many labels, with fragile predictions. So robust probes show a trap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import memory_format
from atesc_core.models import Classifier
from atesc_core.robustness.split import fragile
from atesc_core.specs.run import SplitSpec

STORED = 1024  # number of probes of a run; batches are drawn from them
GRID_SIDES = (1, 2, 3, 4, 6, 8, 16)  # cells per side of the random grids that are scaled up to images


def noise_probes(count: int, image_side: int, random: torch.Generator) -> Tensor:
    """``count`` images of uniform noise, (count, 3, H, W) in [0, 1]: grey and coloured, coarse to pixel-fine."""
    kinds = [(side, channels) for side in GRID_SIDES for channels in (1, 3)]
    images = []
    for number, (side, channels) in enumerate(kinds):
        share = count * (number + 1) // len(kinds) - count * number // len(kinds)
        grid = torch.rand(share, channels, side, side, generator=random, device=random.device)
        if share:
            scaled = F.interpolate(grid, size=(image_side, image_side), mode="bicubic", align_corners=False)
            images.append(scaled.clamp(0, 1).expand(-1, 3, -1, -1))
    return torch.cat(images)


class Probes:
    """The noise images of one seed, with the teacher's features and their split.

    The teacher's features are computed once, and the images are attacked once for each threshold, however often they
    are drawn.
    """

    def __init__(self, teacher: Classifier, image_side: int, split: SplitSpec, seed: int, device: torch.device):
        self.teacher, self.split = teacher, split
        self.threshold: float | None = None  # threshold of the split in ``fragile``
        self.seed, self.random = seed, torch.Generator(device)
        images = noise_probes(STORED, image_side, self.random.manual_seed(seed))
        self.images = images.contiguous(memory_format=memory_format(device))
        with torch.no_grad():
            self.features = teacher.features(self.images)
            self.labels = teacher.head(self.features).argmax(1)

    def draw(self, count: int, threshold: float, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """``count`` random probes.

        Returns:
            Images (count, 3, H, W) in [0, 1]; the teacher's features (count, F); (count,) bool, which are fragile.
        """
        if threshold != self.threshold:
            attack_random = self.random.manual_seed(
                self.seed
            )  # so that a resumed run splits the probes in the same way
            self.fragile = fragile(self.teacher, self.images, self.labels, self.split, threshold, attack_random)
            self.threshold = threshold
        indices = torch.randint(STORED, (count,), generator=random, device=random.device)
        return self.images[indices], self.features[indices], self.fragile[indices]
