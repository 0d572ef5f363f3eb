"""A domain: labelled images with a fixed split into train and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SPLIT_SEED = 2025
TRAIN_IMAGES, TEST_IMAGES = 8000, 1000  # at most, of a domain (NTLBench)
RESIZED_AT_ONCE = 500  # images; a float copy of 9 000 large ones would be gigabytes

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""train images, labels, test images, labels; images (N, H, W) or (N, H, W, 3) uint8, labels (N,) int64"""


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


def shuffled(images: np.ndarray, labels: np.ndarray, test: int) -> Split:
    """All images, in an order of a fixed seed; the first ``test`` of them are held out."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, held_out = order[test:], order[:test]
    return images[train], labels[train], images[held_out], labels[held_out]


def image_set(images: np.ndarray, labels: np.ndarray, image_side: int) -> ImageSet:
    """(N, H, W) or (N, H, W, 3) uint8 arrays as an ImageSet of side ``image_side`` pixels, antialiased."""
    resized = torch.cat(
        [_resized(images[at : at + RESIZED_AT_ONCE], image_side) for at in range(0, len(images), RESIZED_AT_ONCE)]
    )
    return ImageSet(resized, torch.from_numpy(np.asarray(labels)).long())


def _resized(images: np.ndarray, image_side: int) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)
    pixels = pixels.unsqueeze(1).expand(-1, 3, -1, -1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    if pixels.shape[-2:] != (image_side, image_side):
        pixels = F.interpolate(pixels, size=(image_side, image_side), mode="bilinear", antialias=True)
    return pixels.clamp(0, 1).contiguous()
