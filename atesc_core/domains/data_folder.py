"""The folder of downloaded domains, and a cache there of arrays that are slow to make."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import platformdirs

from atesc_core.domains.arrays import ArraySplit, Images, Labels

PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def data_dir() -> Path:
    """``$ATESC_DATA_DIR``, or the user's data folder. The layout is torchvision's, so that its root can be used."""
    folder = os.environ.get("ATESC_DATA_DIR")
    return Path(folder).expanduser() if folder else Path(platformdirs.user_data_dir("atesc-lab")) / "domains"


def digest(*parts: object) -> str:
    """A hash of the parts, 24 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def file_stamps(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, size and time of change of each file: together they tell whether a file has changed."""
    return [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


def cached_arrays(name: str, key: str, make: Callable[[], ArraySplit]) -> ArraySplit:
    """The arrays that ``make()`` gives, from the disk as long as ``key`` stays the same.

    It is only a cache: where it cannot be read or written, the arrays are made anew.

    Args:
        name: Of the arrays; becomes part of a file name, so it is never a user's text.
        key: A `digest` of all that the arrays depend on.
        make: Makes the arrays.
    """
    folder = data_dir() / "made"
    path = folder / f"{name}-{key}.npz"
    with (
        contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as arrays,
    ):
        train_images, train_labels, test_images, test_labels = (arrays[part] for part in PARTS)
        return train_images, train_labels, test_images, test_labels
    split = make()
    named: dict[str, Images | Labels] = dict(zip(PARTS, split, strict=True))
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{path.name}.{os.getpid()}.npz"
        try:
            np.savez(unfinished, allow_pickle=False, **named)
            for older in folder.glob(f"{name}-*.npz"):
                older.unlink(missing_ok=True)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return split
