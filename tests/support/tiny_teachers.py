"""A pair of tiny domains, on which a teacher is trained in a moment."""

from __future__ import annotations

import torch

from atesc_core.domains import PAIRS
from atesc_core.domains.domain import Domain, ImageSet, domain_of
from atesc_core.domains.loading import PairData


def tiny(pair: str) -> PairData:
    """32 random images per domain, the same in each part: dark ID images, light OOD images."""
    random = torch.Generator().manual_seed(0)

    def domain(name: str, brightness: float) -> Domain:
        images = ImageSet(
            0.5 * torch.rand(32, 3, 16, 16, generator=random) + brightness, torch.randint(10, (32,), generator=random)
        )
        return domain_of(name, tuple("0123456789"), images, images, images)

    return PairData(PAIRS[pair], domain("dark", 0.0), domain("light", 0.5))
