"""What a student makes of images, class probabilities or features, found again by a hash of student and images."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from atesc_core.embedding.features import content_hash
from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, Snapshot

What = Literal["probabilities", "features"]


@dataclass(frozen=True)
class View:
    """One student's look at one set of images, made or still to be made."""

    student: Path
    images: np.ndarray  # (N, 3, H, W) uint8
    what: What
    path: Path

    def read(self) -> np.ndarray | None:
        """(N, C) or (N, F) float32; None as long as it is not made."""
        try:
            return np.load(self.path, allow_pickle=False)
        except FileNotFoundError:
            return None


def answers(store: RunStore, run_id: str, shown: Snapshot) -> dict[int, View]:
    """Epoch -> what the student that is kept of it says of the snapshot's images. Raises UnknownRun."""
    name, found = _pixels(shown), {}
    for epoch, path in store.students(run_id).items():
        with suppress(FileNotFoundError):  # a run that goes on lets go of a student now and then
            found[epoch] = View(path, shown.images, "probabilities", _file(store.runs_dir, path, name, "probabilities"))
    return found


def features(store: RunStore, run_id: str, sets: Mapping[Hashable, np.ndarray]) -> tuple[int, dict[Hashable, View]]:
    """The last epoch whose student is kept, and that student's features of each of the sets of images, by their names.

    Raises UnknownRun; StoreError where no student is kept.
    """
    students = store.students(run_id)
    if not students:
        raise StoreError(f"run: {run_id} keeps no student yet")
    epoch = max(students)
    path = students[epoch]
    return epoch, {
        name: View(path, images, "features", _file(store.runs_dir, path, content_hash(images), "features"))
        for name, images in sets.items()
    }


def _file(runs_dir: Path, student: Path, images: str, what: What) -> Path:
    """``images``: their hash. The same student and images have the same view, whichever run they are of."""
    name = content_hash(student=_digest(student, student.stat().st_mtime_ns), images=images, what=what)
    return Path(runs_dir) / "cache" / "students" / f"{name}.npy"


@lru_cache(maxsize=8)
def _pixels(shown: Snapshot) -> str:
    """The hash of its images. Kept: of 20 000 it takes 27 ms, and a page asks at every move of its threshold."""
    return content_hash(shown.images)


@lru_cache(maxsize=4096)
def _digest(path: Path, written: int) -> str:
    """Of the file's content. ``written``: when, so that a file is read again only where it was written again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
