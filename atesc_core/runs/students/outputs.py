"""Class probabilities or features of images by a student, cached under a hash of the student and the images."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from atesc_core.embedding.features import content_hash
from atesc_core.errors import StoreError
from atesc_core.files import load_array, read_cached
from atesc_core.runs import RunStore, Snapshot

OutputKind = Literal["probabilities", "features"]
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class CachedOutput:
    """The output of one student for one set of images, computed or not yet."""

    epoch: int  # of the student
    student: Path  # its file
    images: NDArray[np.uint8]  # (N, 3, H, W)
    kind: OutputKind
    path: Path  # of the output, whether or not it is computed

    def read(self) -> NDArray[np.float32] | None:
        """(N, C) probabilities or (N, F) features; None if they are not computed yet. A damaged file is deleted."""
        try:
            output: NDArray[np.float32] = read_cached(self.path, load_array)
        except FileNotFoundError:
            return None
        return output


def cached_probabilities(store: RunStore, run_id: str, snapshot: Snapshot) -> dict[int, CachedOutput]:
    """Class probabilities of the snapshot's images: epoch of the student -> output. Raises UnknownRunError."""
    images_hash, outputs = _images_hash(snapshot), {}
    for epoch, student in store.student_files(run_id).items():
        with suppress(FileNotFoundError):  # a running run may delete a student
            path = _cache_file(store.runs_dir, student, images_hash, "probabilities")
            outputs[epoch] = CachedOutput(epoch, student, snapshot.images, "probabilities", path)
    return outputs


def cached_features(
    store: RunStore, run_id: str, image_sets: Mapping[Name, NDArray[np.uint8]]
) -> tuple[int, dict[Name, CachedOutput]]:
    """Features of several sets of images by the last student on disk.

    Returns:
        The student's epoch, and set name -> features of the set.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: no student is on disk.
    """
    epoch, student = last_student(store, run_id)
    return epoch, {
        name: CachedOutput(
            epoch, student, images, "features", _cache_file(store.runs_dir, student, content_hash(images), "features")
        )
        for name, images in image_sets.items()
    }


def last_student(store: RunStore, run_id: str) -> tuple[int, Path]:
    """Epoch and file of the last student on disk. Raises as `cached_features`."""
    students = store.student_files(run_id)
    if not students:
        raise StoreError(f"run: {run_id} keeps no student yet")
    return max(students.items())


def _cache_file(runs_dir: Path, student: Path, images_hash: str, kind: OutputKind) -> Path:
    """Path of an output. It depends on student and images alone, so runs can share it."""
    name = content_hash(student=file_hash(student, student.stat().st_mtime_ns), images=images_hash, what=kind)
    return Path(runs_dir) / "cache" / "students" / f"{name}.npz"


@lru_cache(maxsize=8)
def _images_hash(snapshot: Snapshot) -> str:
    """Hash of the images. Cached: it takes 27 ms for 20 000 images, and a page needs it at every threshold change."""
    return content_hash(snapshot.images)


@lru_cache(maxsize=4096)
def file_hash(path: Path, modified: int) -> str:
    """Hash of the file's content. ``modified``, in ns, is a part of the cache key: a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
