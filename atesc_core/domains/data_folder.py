"""The folder of downloaded domains. It also holds a cache of arrays that take long to make."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import platformdirs

from atesc_core.domains.arrays import ArraySplit, Labelled
from atesc_core.files import atomic_write

PARTS = ArraySplit._fields


def data_dir() -> Path:
    """``$ATESC_DATA_DIR``, or the user's data folder. The layout is that of a torchvision ``root``."""
    folder = os.environ.get("ATESC_DATA_DIR")
    return Path(folder).expanduser() if folder else Path(platformdirs.user_data_dir("atesc-lab")) / "domains"


def digest(*parts: object) -> str:
    """A hash of the parts, 24 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def file_stamps(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, size and modification time of each file, to find out whether a file has changed."""
    return [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


def cached_arrays(name: str, key: str, compute: Callable[[], ArraySplit]) -> ArraySplit:
    """The result of ``compute()``, read from the cache as long as ``key`` stays the same.

    If the cache cannot be read or written, the arrays are computed again.

    Args:
        name: Name of the arrays. It becomes part of a file name, so it must never be a user's text.
        key: A `digest` of everything that the arrays depend on.
        compute: Computes the arrays.
    """
    path = _cached_file(name, key)
    folder = path.parent
    with (
        contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as arrays,
    ):
        return ArraySplit(*(Labelled(*(arrays[f"{part}_{kind}"] for kind in Labelled._fields)) for part in PARTS))
    split = compute()
    named = {
        f"{name}_{kind}": values for name, part in split._asdict().items() for kind, values in part._asdict().items()
    }
    with contextlib.suppress(OSError), atomic_write(path, several_writers=True) as file:
        np.savez(file, allow_pickle=False, **named)
        for older in folder.glob(f"{name}-*.npz"):
            older.unlink(missing_ok=True)
    return split


def has_cached(name: str, key: str) -> bool:
    """Whether `cached_arrays` finds the arrays in the cache, and will not compute them."""
    return _cached_file(name, key).exists()


def _cached_file(name: str, key: str) -> Path:
    return data_dir() / "made" / f"{name}-{key}.npz"
