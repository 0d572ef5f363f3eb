"""Backdoor triggers: pure functions on images, published for 32×32 and scaled to other sides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def badnet_sq(x: Tensor) -> Tensor:
    """White square near the bottom-right corner (BadNets): rows and columns 27–30 of 32.

    x: (B, 3, H, W) in [0, 1]; returns a stamped copy.
    """
    side = x.shape[-1]
    start, end = round(side * 27 / 32), round(side * 31 / 32)
    stamped = x.clone()
    stamped[..., start:end, start:end] = 1
    return stamped


TRIGGERS: dict[str, Callable[[Tensor], Tensor]] = {"badnet_sq": badnet_sq}


def stamp(name: str, x: Tensor) -> Tensor:
    """x with the trigger ``name``: (B, 3, H, W) in [0, 1] in and out."""
    with torch.no_grad():
        return TRIGGERS[name](x)
