"""Noise images, which are far from any domain and need no data [this lab]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Cells per side of the random grids that are scaled to the size of an image. One more grid has a cell for each pixel.
GRID_SIDES = (1, 2, 3, 4, 6, 8, 16)


def noise_images(count: int, image_side: int, random: torch.Generator) -> Tensor:
    """``count`` images of uniform noise, (count, 3, H, W) in [0, 1]: grey and coloured, coarse to pixel-fine."""
    kinds = [(side, channels) for side in sorted({*GRID_SIDES, image_side}) for channels in (1, 3)]
    images = []
    for number, (side, channels) in enumerate(kinds):
        share = count * (number + 1) // len(kinds) - count * number // len(kinds)
        grid = torch.rand(share, channels, side, side, generator=random, device=random.device)
        if share:
            scaled = F.interpolate(grid, size=(image_side, image_side), mode="bicubic", align_corners=False)
            images.append(scaled.clamp(0, 1).expand(-1, 3, -1, -1))
    return torch.cat(images)
