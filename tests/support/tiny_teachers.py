"""A pair of domains so small that a teacher is trained on it at once."""

from __future__ import annotations

import torch

from atesc_core.domains import PAIRS
from atesc_core.domains.domain import Domain, ImageSet
from atesc_core.domains.loading import PairData


def tiny(pair: str) -> PairData:
    """32 random images a domain, ID dark and OOD light."""
    random = torch.Generator().manual_seed(0)

    def domain(name: str, lift: float) -> Domain:
        images = ImageSet(
            0.5 * torch.rand(32, 3, 16, 16, generator=random) + lift, torch.randint(10, (32,), generator=random)
        )
        return Domain(name, tuple("0123456789"), images, images)

    return PairData(PAIRS[pair], domain("dark", 0.0), domain("light", 0.5))
