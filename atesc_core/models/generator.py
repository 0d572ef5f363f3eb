"""The image generator that the data-free synthesizers share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    """z → Linear → BN → (up ×2, conv, BN, LeakyReLU 0.2) ×2 → conv → sigmoid.

    z: (B, latent); returns images (B, 3, image_side, image_side) in [0, 1]. As zju-vipa/CMI has it, where width is 128:
    ``Generator`` for CMI, of 128 → 128 → 64 channels, and ``LargeGenerator`` for DFQ, of 256 → 128 → 64.

    Args:
        latent: length of z.
        image_side: in pixels, a multiple of 4.
        width: channels after the first convolution; half as many after the second.
        seed: seed of the weights.
        large: twice ``width`` channels before the first convolution, otherwise ``width``.
    """

    def __init__(self, latent: int, image_side: int, width: int, seed: int, large: bool = False):
        super().__init__()
        if image_side % 4:
            raise ValueError(f"image_side: {image_side}: expected a multiple of 4")
        self.first, self.start = 2 * width if large else width, image_side // 4
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.dense = nn.Linear(latent, self.first * self.start**2)
            self.body = nn.Sequential(
                nn.BatchNorm2d(self.first),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(self.first, width, 3, 1, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(width, width // 2, 3, 1, 1, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(width // 2, 3, 3, 1, 1),
                nn.Sigmoid(),
            )

    def forward(self, z: Tensor) -> Tensor:
        """z: (B, latent); returns images, (B, 3, H, W) in [0, 1]."""
        images: Tensor = self.body(self.dense(z).view(len(z), self.first, self.start, self.start))
        return images
