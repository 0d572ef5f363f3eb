"""Synthetic images at the end of an epoch, as a file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from atesc_core.errors import StoreError
from atesc_core.files import atomic_write


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
            StoreError: the file is damaged.
        """
        values = _arrays(path)
        scores = {name.removeprefix("score_"): values.pop(name) for name in list(values) if name.startswith("score_")}
        try:
            epoch, threshold = int(values.pop("epoch")), float(values.pop("threshold"))
            return cls(epoch=epoch, threshold=threshold, scores=scores, **values)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from None


def read_batchnorm(path: Path) -> np.ndarray:
    """``Snapshot.batchnorm`` of a file, without its images: (2, K) float32. Raises as `Snapshot.load`."""
    statistics: np.ndarray = _arrays(path, ("batchnorm",))["batchnorm"]
    return statistics


def _arrays(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The arrays of a file, those of ``names`` or all; zip's checksums are compared."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # on a damaged file, zipfile and numpy raise many types of errors
        raise _damaged(path, error) from None


@lru_cache(maxsize=4096)
def is_whole(path: str, modified: int) -> bool:
    """Whether the file has an archive's end. ``modified``: its time of modification in ns, part of the cache key."""
    return zipfile.is_zipfile(path)


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"{path}: the synthetic images of this epoch are damaged ({type(error).__name__}); delete the file, and choose "
        "another epoch"
    )
