"""Writing files atomically, so that a reader sees the old one or the complete new one; reading those of a cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")


@contextlib.contextmanager
def atomic_write(path: Path, several_writers: bool = False) -> Iterator[BinaryIO]:
    """A temporary file to write. It is renamed to ``path`` at the end; if the body raises, ``path`` is not changed.

    Only one writer per path at a time, unless ``several_writers``: then the last one that ends wins. The temporary file
    of a writer that is killed stays; one writer's is replaced by its next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f".{os.getpid()}-{time.monotonic_ns()}" if several_writers else ""
    temporary = path.with_name(f".{path.name}{writer}.new")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, path: Path) -> None:
    """Make ``path`` a hard link to ``source``, or a copy of it if the disk has no hard links.

    Safe for files that are only replaced and never changed in place. Raises FileNotFoundError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # not renamed if both names already belonged to one file


def read_cached(path: Path, read: Callable[[Path], Value]) -> Value:
    """``read(path)``, for a file that can be computed again: a damaged one is deleted, and counts as missing.

    Raises:
        FileNotFoundError: there is no such file, or no longer.
    """
    try:
        return read(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # on damage, zipfile, zlib, NumPy and json raise many types of errors
        with contextlib.suppress(OSError):  # a folder that cannot be written
            path.unlink()
        raise FileNotFoundError(f"{path} was damaged ({type(error).__name__}), and is deleted") from error


def load_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file, by name; zip's checksums are compared. Raises many types of errors on damage."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def save_array(file: BinaryIO, values: NDArray[Any]) -> None:
    """Write one array as an .npz file, which has a checksum; an .npy file has none."""
    np.savez(file, values=values)


def load_array(path: Path) -> Any:
    """The array of a file of `save_array`. Raises as `load_arrays`."""
    return load_arrays(path)["values"]


def check_archive(path: Path) -> None:
    """Compare the checksums of a zip file with its content, for a reader that does not.

    Raises many types of errors on damage.
    """
    with zipfile.ZipFile(path) as archive:
        if (name := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{name} is not what was written")
