"""Domains and pairs as tensors, at the image size of a teacher. Needs PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from cachetools import LRUCache, cached
from numpy.typing import NDArray

from atesc_core.domains.arrays import ArraySplit, Labelled, Labels
from atesc_core.domains.catalogue import domain_classes, domain_version, read_arrays
from atesc_core.domains.domain import PARTS, Domain, ImageSet, Part, image_set
from atesc_core.domains.folder import is_folder, open_folder, part_labels
from atesc_core.domains.pairs import Pair, find_pair
from atesc_core.domains.triggers import stamp
from atesc_core.errors import DomainError

MAX_CACHED_BYTES = 1024**3  # of the images of domains; as many again of images with a trigger
MAX_ARRAY_BYTES = 256 * 1024**2  # of the images as they are on the disk, from which the parts of a domain are made
HELD_OUT: tuple[Part, ...] = ("validation", "test")


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

    Its images are read when a part of it is first used. The domains used last are kept, up to MAX_CACHED_BYTES, and
    shared: never write to one. A larger domain is not kept.

    Raises:
        DomainError: unknown, not downloaded or unreadable domain, or image side out of range.
    """
    if not 8 <= image_side <= 256:
        raise DomainError(f"image_side: {image_side}: expected 8 to 256 pixels")
    return _domain(name, image_side, domain_version(name))


@cached(LRUCache(MAX_CACHED_BYTES, getsizeof=lambda domain: domain.max_bytes), lock=Lock())
def _domain(name: str, image_side: int, version: str) -> Domain:
    def read(part: Part) -> ImageSet:
        return image_set(*_part(_arrays(name, image_side, version), part), image_side)

    counts = {part: len(labels) for part, labels in _labels(name, image_side, version).items()}
    return Domain(name, domain_classes(name), image_side, counts, read)


def _labels(name: str, image_side: int, version: str) -> dict[Part, Labels]:
    """The labels of each part's images; no image of a folder is read."""
    if is_folder(name):
        by_part = part_labels(open_folder(name))
        return {part: by_part[part] for part in PARTS}
    arrays = _arrays(name, image_side, version)
    return {part: _part(arrays, part).labels for part in PARTS}


def _part(arrays: ArraySplit, part: Part) -> Labelled:
    labelled: Labelled = getattr(arrays, part)
    return labelled


def _array_bytes(split: ArraySplit) -> int:
    return sum(part.images.nbytes + part.labels.nbytes for part in split)


@cached(LRUCache(MAX_ARRAY_BYTES, getsizeof=_array_bytes), lock=Lock())
def _arrays(name: str, image_side: int, version: str) -> ArraySplit:
    return read_arrays(name, image_side)


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
    """The images of ``find_pair(name)``, as `load_domain` reads them: never write to them.

    Raises:
        DomainError: unknown pair, or as `load_domain`.
    """
    pair = find_pair(name)
    id_domain = load_domain(pair.id, image_side)
    if pair.trigger is None:
        return PairData(pair, id_domain, load_domain(pair.ood, image_side))
    return PairData(pair, id_domain, _triggered(pair, image_side, domain_version(pair.ood)))


@cached(LRUCache(MAX_CACHED_BYTES, getsizeof=lambda domain: domain.max_bytes), lock=Lock())
def _triggered(pair: Pair, image_side: int, version: str) -> Domain:
    trigger, domain = pair.trigger or "", _domain(pair.ood, image_side, version)
    labels = _labels(pair.ood, image_side, version)
    counts = dict(domain.counts) | {part: int((labels[part] != pair.target).sum()) for part in HELD_OUT}

    def read(part: Part) -> ImageSet:
        images: ImageSet = getattr(domain, part)
        if part in HELD_OUT and pair.target is not None:
            images = images.where(images.labels.ne(pair.target))
        return ImageSet(stamp(trigger, images.images), images.labels)

    return Domain(f"{domain.name}+{trigger}", domain.classes, image_side, counts, read)


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
