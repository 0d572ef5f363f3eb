"""Synthetic images at the end of an epoch, as a file."""

from __future__ import annotations

import contextlib
import errno
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from atesc_core.errors import DamagedSnapshotError, StoreError
from atesc_core.files import atomic_write, load_arrays


@dataclass(frozen=True, eq=False)  # compared by identity, so that caches can be keyed by a snapshot
class Snapshot:
    """N synthetic images at the end of an epoch, with all that pages show about them."""

    epoch: int
    images: np.ndarray  # (N, 3, H, W) uint8
    teacher_probs: np.ndarray  # (N, C) float32
    student_probs: np.ndarray  # (N, C) float32
    features: np.ndarray  # (N, F) float32, the teacher's penultimate layer
    batchnorm: np.ndarray  # (2, K) float32, mean and variance of the teacher's BatchNorm inputs, all layers by depth
    scores: dict[str, np.ndarray]  # (N,) float32 each, by name in SCORES; min_eps in 1/255, inf if never flipped
    fragile: np.ndarray  # (N,) bool, by the run's score and the threshold in force
    threshold: float

    def save(self, path: Path) -> None:
        """Write all fields as arrays, each score as ``score_<name>``."""
        arrays: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("images", "teacher_probs", "student_probs", "features", "batchnorm", "fragile")
        }
        arrays |= {f"score_{name}": values for name, values in self.scores.items()}
        with atomic_write(path) as file:
            np.savez(file, epoch=self.epoch, threshold=self.threshold, **arrays)

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """The snapshot in a file that ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            DamagedSnapshotError: the file turns out to be damaged.
            StoreError: it is known to be damaged.
        """
        with _noting_damage(path):
            values = load_arrays(path)
            scores = {
                name.removeprefix("score_"): values.pop(name) for name in list(values) if name.startswith("score_")
            }
            epoch, threshold = int(values.pop("epoch")), float(values.pop("threshold"))
            return cls(epoch=epoch, threshold=threshold, scores=scores, **values)


def read_batchnorm(path: Path) -> np.ndarray:
    """``Snapshot.batchnorm`` of a file, without its images: (2, K) float32. Raises as `Snapshot.load`."""
    with _noting_damage(path), np.load(path, allow_pickle=False) as arrays:
        statistics: np.ndarray = arrays["batchnorm"]
    return statistics


# Path and time of modification, in ns, of files that could not be read in this process. An archive's end says nothing
# about what is before it, and to read every file would take minutes.
_found_damaged: set[tuple[str, int]] = set()


def is_whole(path: str, modified: int) -> bool:
    """Whether the file has an archive's end, and has not failed to be read. ``modified``: its mtime in ns."""
    return (path, modified) not in _found_damaged and _has_end(path, modified)


@lru_cache(maxsize=4096)
def _has_end(path: str, modified: int) -> bool:
    return zipfile.is_zipfile(path)


@contextlib.contextmanager
def _noting_damage(path: Path) -> Iterator[None]:
    """Whatever reading the file raises, but for a missing file, becomes a StoreError, and the file is remembered."""
    state = str(path), path.stat().st_mtime_ns
    kind = StoreError if state in _found_damaged else DamagedSnapshotError
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # on a damaged file, zipfile and numpy raise many types of errors
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of the disk: the file may be good
            raise StoreError(
                f"{path}: the synthetic images of this epoch cannot be read ({error}); try again"
            ) from None
        _found_damaged.add(state)
        raise kind(
            f"{path}: the synthetic images of this epoch are damaged ({type(error).__name__}); delete the file, and "
            "choose another epoch"
        ) from None
