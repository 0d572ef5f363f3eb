"""A domain: labelled images with a fixed split into train and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """images: (N, 3, H, W) float32 in [0, 1]; labels: (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> ImageSet:
        return ImageSet(self.images.to(device), self.labels.to(device))

    def where(self, keep: Tensor) -> ImageSet:
        """The images at which the (N,) bool mask ``keep`` is true."""
        return ImageSet(self.images[keep], self.labels[keep])


@dataclass(frozen=True)
class Domain:
    name: str
    classes: tuple[str, ...]
    train: ImageSet
    test: ImageSet


def image_set(images: np.ndarray, labels: np.ndarray, image_side: int) -> ImageSet:
    """(N, H, W) or (N, H, W, 3) uint8 arrays as an ImageSet of side ``image_side`` pixels, antialiased."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)
    pixels = pixels.unsqueeze(1).expand(-1, 3, -1, -1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    if pixels.shape[-2:] != (image_side, image_side):
        pixels = F.interpolate(pixels, size=(image_side, image_side), mode="bilinear", antialias=True)
    return ImageSet(pixels.clamp(0, 1).contiguous(), torch.from_numpy(np.asarray(labels)).long())
