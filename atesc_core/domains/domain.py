"""A domain as tensors: labelled images with a fixed division into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.domains.arrays import Images, Labels

RESIZED_AT_ONCE = 500  # images; a float copy of 9 000 large images would take gigabytes


@dataclass(frozen=True)
class ImageSet:
    """Labelled images."""

    images: Tensor  # (N, 3, H, W) float32 in [0, 1]
    labels: Tensor  # (N,) int64

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> ImageSet:
        """The same images and labels on ``device``."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def where(self, index: Tensor) -> ImageSet:
        """The images at ``index``: a (N,) bool mask, or (M,) int64 indices."""
        return ImageSet(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Domain:
    """A domain's images at one size. ``classes``: the names of labels 0, 1, ..."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    validation: ImageSet  # settings and teachers are chosen on it
    test: ImageSet  # accuracies are reported on it


def image_set(images: Images, labels: Labels, image_side: int) -> ImageSet:
    """The arrays as an ImageSet, resized to ``image_side`` pixels (bilinear, antialiased)."""
    resized = torch.cat(
        [
            _resized(images[start : start + RESIZED_AT_ONCE], image_side)
            for start in range(0, len(images), RESIZED_AT_ONCE)
        ]
    )
    return ImageSet(resized, torch.from_numpy(np.asarray(labels)).long())


def _resized(images: Images, image_side: int) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)
    pixels = pixels.unsqueeze(1).expand(-1, 3, -1, -1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    if pixels.shape[-2:] != (image_side, image_side):
        pixels = F.interpolate(pixels, size=(image_side, image_side), mode="bilinear", antialias=True)
    return pixels.clamp(0, 1).contiguous()
