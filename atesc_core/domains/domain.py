"""A domain as tensors: labelled images with a fixed division into train, validation and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

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


Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Domain:
    """A domain's images at one size, each part read when it is first used.

    Attributes:
        name: Its name.
        classes: The names of labels 0, 1, ...
        image_side: In pixels.
        counts: The number of images of each part; known before any is read.
        read: Returns the images of a part.
    """

    name: str
    classes: tuple[str, ...]
    image_side: int
    counts: Mapping[Part, int]
    read: Callable[[Part], ImageSet]

    @property
    def max_bytes(self) -> int:
        """The memory that its images take once all parts are read."""
        return 12 * self.image_side**2 * sum(self.counts.values())  # three channels of four bytes

    @cached_property
    def train(self) -> ImageSet:
        """The images to train on."""
        return self.read("train")

    @cached_property
    def validation(self) -> ImageSet:
        """The images on which settings and teachers are chosen."""
        return self.read("validation")

    @cached_property
    def test(self) -> ImageSet:
        """The images on which accuracies are reported."""
        return self.read("test")


def domain_of(name: str, classes: tuple[str, ...], train: ImageSet, validation: ImageSet, test: ImageSet) -> Domain:
    """A domain of images that are read already."""
    parts: dict[Part, ImageSet] = {"train": train, "validation": validation, "test": test}
    counts = {part: len(images) for part, images in parts.items()}
    return Domain(name, classes, train.images.shape[-1], counts, parts.__getitem__)


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
