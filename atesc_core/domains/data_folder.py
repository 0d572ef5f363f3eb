"""The folder of downloaded domains, and of arrays that are slow to make."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from atesc_core.domains.arrays import ArraySplit

PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def data_dir() -> Path:
    """``$ATESC_DATA_DIR``, or the user's data folder. Laid out as torchvision does: its own root will do."""
    named = os.environ.get("ATESC_DATA_DIR")
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("atesc-lab")) / "domains"


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def file_stamps(files: list[Path]) -> list[tuple[str, int, int]]:
    """What tells that a file has changed: path, size, time of change."""
    return [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


def cached_arrays(name: str, key: str, make: Callable[[], ArraySplit]) -> ArraySplit:
    """What ``make()`` gives, kept on disk until ``key`` changes. ``name`` and ``key`` are ours, never a user's words.

    Only a cache: where it cannot be read or written, the arrays are made anew.
    """
    folder = data_dir() / "made"
    path = folder / f"{name}-{key}.npz"
    with (
        contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as arrays,
    ):
        return tuple(arrays[part] for part in PARTS)
    split = make()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{path.name}.{os.getpid()}.npz"
        try:
            np.savez(unfinished, **dict(zip(PARTS, split, strict=True)))
            for older in folder.glob(f"{name}-*.npz"):
                older.unlink(missing_ok=True)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return split
