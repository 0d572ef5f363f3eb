"""Domains that are downloaded once.

URLs, checksums, file layouts and readers are torchvision's. It is imported only when needed, which takes seconds.
A file is accepted only if its checksum is right. CIFAR-10 is a pickle, so its checksum is checked again before every
unpickling.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import shutil
import tarfile
import urllib.request
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import numpy as np
from filelock import FileLock

from atesc_core.domains.arrays import (
    TEST_IMAGES,
    TRAIN_IMAGES,
    ArraySplit,
    Images,
    Labelled,
    Labels,
    official,
    shuffled,
)
from atesc_core.domains.data_folder import cached_arrays, data_dir, digest, file_stamps
from atesc_core.errors import DomainError

OfficialParts = tuple[Images, Labels, Images, Labels]  # train images and labels, test images and labels
CHUNK = 2**18
TIMEOUT_S = 30.0  # without receiving a byte
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
# STL-10's labels in the order of CIFAR-10; CIFAR-10's frog and automobile are monkey and car in STL-10 (NTLBench).
CIFAR_LABEL_OF_STL = np.array([0, 2, 1, 3, 4, 5, 7, 6, 8, 9])


@dataclass(frozen=True)
class Remote:
    """One file to download."""

    urls: tuple[str, ...]  # tried in turn
    md5: str
    unpacked: tuple[str, ...]  # the unpacked files, as paths in the data folder


@dataclass(frozen=True)
class Archive:
    """A published data set."""

    files: tuple[str, ...]
    megabytes: int
    remotes: Callable[[], list[Remote]]
    read: Callable[[Path], OfficialParts]  # from the data folder
    pooled: bool = False  # all images are drawn from both official parts together (NTLBench, STL-10)


@dataclass(frozen=True)
class Fetching:
    """The progress of a download."""

    file: str
    bytes: int
    total: int | None  # bytes; None if the server does not report it


# ── URL and reader of each archive ──────────────────────────────────────────────────────────────────


def _idx(kind: str, megabytes: int) -> Archive:
    """MNIST and data sets in its format: gzipped IDX files. ``kind`` is torchvision's class."""

    def remotes() -> list[Remote]:
        from torchvision import datasets

        published = getattr(datasets, kind)
        return [
            Remote(
                tuple(mirror + name for mirror in published.mirrors), md5, (f"{kind}/raw/{name.removesuffix('.gz')}",)
            )
            for name, md5 in published.resources
        ]

    def read(folder: Path) -> OfficialParts:
        from torchvision import datasets

        train, test = (getattr(datasets, kind)(folder, train=part) for part in (True, False))
        return train.data.numpy(), train.targets.numpy(), test.data.numpy(), test.targets.numpy()

    return Archive(tuple(f"{kind}/raw/{name}" for name in IDX), megabytes, remotes, read)


def _usps_remotes() -> list[Remote]:
    from torchvision.datasets import USPS

    return [Remote((url,), md5, (name,)) for url, name, md5 in USPS.split_list.values()]


def _read_usps(folder: Path) -> OfficialParts:
    from torchvision.datasets import USPS

    train, test = (USPS(folder, train=part) for part in (True, False))
    return train.data, np.array(train.targets), test.data, np.array(test.targets)


def _svhn_remotes() -> list[Remote]:
    from torchvision.datasets import SVHN

    return [Remote((url,), md5, (name,)) for url, name, md5 in (SVHN.split_list[part] for part in ("train", "test"))]


def _read_svhn(folder: Path) -> OfficialParts:
    from torchvision.datasets import SVHN

    train, test = (SVHN(folder, part) for part in ("train", "test"))
    return _channels_last(train.data), train.labels, _channels_last(test.data), test.labels


CIFAR10_FILES = tuple(
    f"cifar-10-batches-py/{name}" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
)


def _cifar10_remotes() -> list[Remote]:
    from torchvision.datasets import CIFAR10

    return [Remote((CIFAR10.url,), CIFAR10.tgz_md5, CIFAR10_FILES)]


def _read_cifar10(folder: Path) -> OfficialParts:
    from torchvision.datasets import CIFAR10

    train, test = (CIFAR10(folder, train=part) for part in (True, False))  # checks every md5 before it unpickles
    return train.data, np.array(train.targets), test.data, np.array(test.targets)


STL10_FILES = tuple(f"stl10_binary/{part}_{kind}.bin" for part in ("train", "test") for kind in "Xy")


def _stl10_remotes() -> list[Remote]:
    from torchvision.datasets import STL10

    return [Remote((STL10.url,), STL10.tgz_md5, STL10_FILES)]


def _read_stl10(folder: Path) -> OfficialParts:
    from torchvision.datasets import STL10

    class Labelled(STL10):  # type: ignore[misc]  # torchvision has no types
        train_list = STL10.train_list[:2]  # without the 2.7 GB of unlabelled images

    train, test = (Labelled(folder, part) for part in ("train", "test"))
    return (
        _channels_last(train.data),
        CIFAR_LABEL_OF_STL[train.labels],
        _channels_last(test.data),
        CIFAR_LABEL_OF_STL[test.labels],
    )


def _channels_last(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1)


ARCHIVES: dict[str, Archive] = {
    "mnist_full": _idx("MNIST", 12),
    "fashion_full": _idx("FashionMNIST", 31),
    "usps": Archive(("usps.bz2", "usps.t.bz2"), 9, _usps_remotes, _read_usps),
    "svhn": Archive(("train_32x32.mat", "test_32x32.mat"), 246, _svhn_remotes, _read_svhn),
    "cifar10": Archive(CIFAR10_FILES, 170, _cifar10_remotes, _read_cifar10),
    "stl10": Archive(STL10_FILES, 2640, _stl10_remotes, _read_stl10, pooled=True),
}


def present(name: str) -> bool:
    """Whether every file of the archive is in the data folder."""
    return all((data_dir() / file).is_file() for file in ARCHIVES[name].files)


def version(name: str) -> str:
    """A text that changes when a file of the archive changes.

    Raises:
        DomainError: the archive is not in the data folder.
    """
    archive, folder = ARCHIVES[name], data_dir()
    if not present(name):
        raise DomainError(f"{name}: not in {folder}; get it with `atesc domains get {name}` ({archive.megabytes:,} MB)")
    return digest(file_stamps([folder / file for file in archive.files]))


def read(name: str) -> ArraySplit:
    """Up to 8 000 training, 1 000 validation and 1 000 test images, drawn by a fixed seed from the official parts.

    Raises:
        DomainError: the archive is not downloaded, or is damaged.
    """
    key = digest(Path(__file__).read_bytes(), version(name))
    return cached_arrays(name, key, lambda: _drawn(name, ARCHIVES[name]))


def _drawn(name: str, archive: Archive) -> ArraySplit:
    folder = data_dir()
    try:
        train_x, train_y, test_x, test_y = archive.read(folder)
        _check(train_x, train_y, test_x, test_y)
    except Exception as error:  # on damaged files the readers raise many types of errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DomainError(
            f"{name}: its files in {folder} cannot be read ({reason[:160]}); remove them and get them again"
        ) from error
    if archive.pooled:
        images, labels = np.concatenate([train_x, test_x]), np.concatenate([train_y, test_y])
        split = shuffled(images, labels, min(TEST_IMAGES, len(labels) // 2))
        return split._replace(train=split.train.at(slice(TRAIN_IMAGES)))
    return official(Labelled(train_x, train_y.astype(np.int64)), Labelled(test_x, test_y.astype(np.int64)))


def _check(*split: np.ndarray) -> None:
    for images, labels in (split[:2], split[2:]):
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or labels.shape != images.shape[:1]:
            raise ValueError(f"images {images.dtype} {images.shape}, labels {labels.shape}")
        if not (len(labels) and labels.min() >= 0 and labels.max() <= 9):
            raise ValueError("labels: expected 0 to 9")


# ── download ────────────────────────────────────────────────────────────────────────────────────────


def fetch(name: str) -> Generator[Fetching, None, None]:
    """Download the missing files of an archive; yields the progress a few times a second.

    A file gets its final name once its checksum is right. An interrupted download leaves no file behind.

    Raises:
        DomainError: no network, a wrong checksum, or no space on the disk.
    """
    folder = data_dir()
    with _explained(name, str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        for remote in ARCHIVES[name].remotes():
            if all((folder / file).is_file() for file in remote.unpacked):
                continue
            arriving = folder / f".{name}.arriving"
            try:
                yield from _download(name, remote, arriving)
                with _explained(name, f"{_file(remote.urls[0])} in {folder}"):
                    _unpack(arriving, _file(remote.urls[0]), folder, remote.unpacked)
            finally:
                arriving.unlink(missing_ok=True)


def _file(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


@contextlib.contextmanager
def _explained(name: str, target: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise DomainError(f"{name}: could not write {target} ({error})") from error


def _download(name: str, remote: Remote, to: Path) -> Iterator[Fetching]:
    failures = []
    for url in remote.urls:
        try:
            yield from _from(url, remote.md5, to)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
            failures.append(f"{urlsplit(url).netloc}: {error or type(error).__name__}")
    raise DomainError(f"{name}: {_file(remote.urls[0])} could not be downloaded ({'; '.join(failures)})")


def _from(url: str, md5: str, to: Path) -> Iterator[Fetching]:
    request = urllib.request.Request(url, headers={"User-Agent": "atesc-lab"})
    checksum, done = hashlib.md5(usedforsecurity=False), 0
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response, to.open("wb") as file:
        total = response.length
        yield Fetching(_file(url), 0, total)
        while chunk := response.read(CHUNK):
            file.write(chunk)
            checksum.update(chunk)
            done += len(chunk)
            yield Fetching(_file(url), done, total)
    if total is not None and done < total:
        raise ValueError(f"the connection ended after {done:,} of {total:,} bytes")
    if checksum.hexdigest() != md5:
        raise ValueError(f"md5 {checksum.hexdigest()} of {done:,} bytes; expected {md5}")


def _unpack(arrived: Path, file: str, folder: Path, paths: tuple[str, ...]) -> None:
    """Unpack only the expected files, under names that this lab chooses."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    if file.endswith(".tar.gz"):
        missing = set(paths)
        with tarfile.open(arrived, "r:gz") as archive:
            for member in archive:  # in one pass: going back would unpack 2.6 GB again
                content = archive.extractfile(member) if member.isfile() and member.name in missing else None
                if content is not None:
                    _write_whole(content, folder / member.name)
                    missing.remove(member.name)
        if missing:
            raise KeyError(", ".join(sorted(missing)))
    elif file.endswith(".gz"):
        with gzip.open(arrived) as unzipped:
            _write_whole(unzipped, folder / paths[0])
    else:
        arrived.replace(folder / paths[0])


def _write_whole(source: IO[bytes] | gzip.GzipFile, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with source, unfinished.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
