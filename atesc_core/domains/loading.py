"""Domains and pairs as tensors, at the image size of a teacher. Needs PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from atesc_core.domains.catalogue import domain_classes, domain_version, read_arrays
from atesc_core.domains.domain import Domain, ImageSet, image_set
from atesc_core.domains.pairs import Pair, find_pair
from atesc_core.domains.triggers import stamp
from atesc_core.errors import DomainError


@dataclass(frozen=True)
class PairData:
    """The images of a pair, with their true labels.

    Backdoor: ``ood`` holds ID images with the trigger, and its validation and test sets leave out the target class,
    because a hit on it would prove nothing.
    """

    pair: Pair
    id: Domain
    ood: Domain


def load_domain(name: str, image_side: int) -> Domain:
    """The domain ``name``, or ``folder:/path``, at ``image_side`` pixels (8 to 256). Nothing is downloaded.

    The result is cached and shared: never write to it.

    Raises:
        DomainError: unknown, not downloaded or unreadable domain, or image side out of range.
    """
    if not 8 <= image_side <= 256:
        raise DomainError(f"image_side: {image_side}: expected 8 to 256 pixels")
    return _read_domain(name, image_side, domain_version(name))


@cache
def _read_domain(name: str, image_side: int, version: str) -> Domain:
    parts = (image_set(*part, image_side) for part in read_arrays(name, image_side))
    return Domain(name, domain_classes(name), *parts)


def class_samples(name: str, image_side: int, most: int = 10) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The first test image of each of the first ``most`` classes, and the names of these classes.

    The domain is not cached in memory, so that a page can show all domains.

    Returns:
        (N, 3, image_side, image_side) in [0, 1], and N class names.

    Raises:
        DomainError: as `load_domain`.
    """
    images, labels = read_arrays(name, image_side).test
    present, first = np.unique(labels, return_index=True)
    classes = domain_classes(name)
    samples = image_set(images[first[:most]], present[:most], image_side)
    return samples.images.numpy(), tuple(classes[label] for label in present[:most])


def load_pair(name: str, image_side: int) -> PairData:
    """The images of ``find_pair(name)``. Cached and shared: never write to them.

    Raises:
        DomainError: unknown pair, or as `load_domain`.
    """
    pair = find_pair(name)
    return _read_pair(pair, image_side, domain_version(pair.id), domain_version(pair.ood))


@cache
def _read_pair(pair: Pair, image_side: int, *versions: str) -> PairData:
    ood_domain = load_domain(pair.ood, image_side)
    if pair.trigger:
        ood_domain = _triggered(ood_domain, pair.trigger, pair.target)
    return PairData(pair, load_domain(pair.id, image_side), ood_domain)


def _triggered(domain: Domain, trigger: str, target: int | None) -> Domain:
    def stamped(images: ImageSet) -> ImageSet:
        return ImageSet(stamp(trigger, images.images), images.labels)

    validation, test = (
        part.where(part.labels.ne(-1 if target is None else target)) for part in (domain.validation, domain.test)
    )
    return Domain(f"{domain.name}+{trigger}", domain.classes, stamped(domain.train), stamped(validation), stamped(test))


def pair_samples(pair: Pair, image_side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An ID and an OOD test image of each class, (N, 3, image_side, image_side) each, in [0, 1].

    Backdoor: the same images without and with the trigger.

    Raises:
        DomainError: as `load_pair`.
    """
    id_images, _ = class_samples(pair.id, image_side)
    if pair.trigger:
        return id_images, stamp(pair.trigger, torch.from_numpy(id_images)).numpy()
    return id_images, class_samples(pair.ood, image_side)[0]
