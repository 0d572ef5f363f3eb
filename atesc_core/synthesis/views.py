"""Random views of images that CMI and NAYER show to the teacher: shifted, zoomed, mirrored, each image separately.

Both functions are differentiable. x and the result: (B, 3, H, H) in [0, 1]. The published code uses kornia's
RandomCrop (padding 4 at 32 px), RandomResizedCrop (25 to 100 % of the area) and RandomHorizontalFlip; here a zoomed
part keeps the image's proportions [this lab].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_AREA = 0.25
SHIFT = 8  # largest shift: an eighth of the side


def shifted(x: Tensor, random: torch.Generator, flip: bool) -> Tensor:
    """The global view: shifted by whole pixels, up to an eighth of the side in each direction; the border is black."""
    side = x.shape[-1]
    most = side // SHIFT
    pixels = torch.randint(-most, most + 1, (len(x), 2), generator=random, device=x.device)
    return _square(x, torch.ones(len(x), device=x.device), 2 * pixels / side, random, flip, padding="zeros")


def zoomed(x: Tensor, random: torch.Generator, flip: bool) -> Tensor:
    """The local view: a random square of 25 to 100 % of the area, scaled to the size of the image."""
    area = SMALLEST_AREA + (1 - SMALLEST_AREA) * torch.rand(len(x), generator=random, device=x.device)
    scale = area.sqrt()
    centre = (2 * torch.rand(len(x), 2, generator=random, device=x.device) - 1) * (1 - scale)[:, None]
    return _square(x, scale, centre, random, flip, padding="border")


def _square(x: Tensor, scale: Tensor, centre: Tensor, random: torch.Generator, flip: bool, padding: str) -> Tensor:
    """The square of side ``scale`` (B,) around ``centre`` (B, 2); 1 is the whole side, centres are in [-1, 1]."""
    mirror = torch.ones_like(scale)
    if flip:
        mirror = 1 - 2 * torch.randint(0, 2, scale.shape, generator=random, device=x.device).to(scale.dtype)
    affine = torch.zeros(len(x), 2, 3, device=x.device)
    affine[:, 0, 0], affine[:, 1, 1], affine[:, :, 2] = scale * mirror, scale, centre
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode=padding, align_corners=False)
