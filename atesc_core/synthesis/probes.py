"""Noise images: strange to any teacher, made from nothing [ours].

A non-transferable teacher gives anything strange its OOD label, and gives it robustly; a plainly trained
one scatters noise over its labels, and its answers are fragile. So probes need no real data to show a trap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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
