"""Backdoor triggers: pure functions on images, published for 32×32 and scaled to other sides.

Each takes x, (B, 3, S, S) in [0, 1], and returns a copy with the trigger, in the same form.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from atesc_core.errors import DomainError

BLENDED = 0.2  # weight of the trigger in blend and sig
PATTERN_SEED = 2025
SIG_CYCLES = 6  # Barni et al., ICIP 2019
GRID = ((0, 0, 1), (0, 1, 0), (1, 0, 1))  # rows and columns 29–31 of 32


def badnet_sq(x: Tensor) -> Tensor:
    """White square near the bottom-right corner (BadNets): rows and columns 27–30 of 32."""
    side = x.shape[-1]
    start, end = round(side * 27 / 32), round(side * 31 / 32)
    stamped = x.clone()
    stamped[..., start:end, start:end] = 1
    return stamped


def badnet_grid(x: Tensor) -> Tensor:
    """3×3 black and white cells in the bottom-right corner (BadNets).

    White at (31, 31), (31, 29), (30, 30), (29, 31), black elsewhere. A cell has side / 32 pixels, at least one, so
    that the grid stays visible.
    """
    cell = max(1, round(x.shape[-1] / 32))
    grid = x.new_tensor(GRID)
    stamped = x.clone()
    stamped[..., -3 * cell :, -3 * cell :] = grid.repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    return stamped


def blend(x: Tensor) -> Tensor:
    """0.8·x + 0.2·pattern (Chen et al., 2017). The pattern is uniform colour noise of a fixed seed, 32×32 cells."""
    pattern = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(PATTERN_SEED)).to(x)
    cells = torch.arange(x.shape[-1], device=x.device) * 32 // x.shape[-1]
    return (1 - BLENDED) * x + BLENDED * pattern[:, cells][:, :, cells]


def sig(x: Tensor) -> Tensor:
    """0.8·x + 0.2·stripe (SIG, Barni et al., 2019): ½ + ½ sin(2π · 6 · column / side), the same in every row."""
    columns = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype) / x.shape[-1]
    return (1 - BLENDED) * x + BLENDED * (0.5 + 0.5 * torch.sin(2 * math.pi * SIG_CYCLES * columns))


TRIGGERS: dict[str, Callable[[Tensor], Tensor]] = {
    "badnet_sq": badnet_sq,
    "badnet_grid": badnet_grid,
    "blend": blend,
    "sig": sig,
}


def stamp(name: str, x: Tensor) -> Tensor:
    """X with the trigger ``name``: (B, 3, S, S) in [0, 1] in and out. Raises DomainError if the name is unknown."""
    if name not in TRIGGERS:
        raise DomainError(f"trigger: {name!r} is not known; expected one of {', '.join(TRIGGERS)}")
    with torch.no_grad():
        return TRIGGERS[name](x)
