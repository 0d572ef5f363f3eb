"""What the runs take on the disk, the bounds on it, and ways to make room."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atesc_core.errors import LimitError, RunBusyError, StoreError

LEAST_FREE_BYTES = 500_000_000  # on the disk, for a new run to be queued
MAX_QUEUED_VARIABLE, MAX_GB_VARIABLE = "ATESC_MAX_QUEUED_RUNS", "ATESC_MAX_RUNS_GB"
MAX_QUEUED = 200  # runs, without the variable


@dataclass(frozen=True)
class Limits:
    """How many runs may wait in line, and how large the runs folder may be (GB; None: as large as the disk)."""

    queued_runs: int = MAX_QUEUED
    runs_gb: float | None = None

    @classmethod
    def of_environment(cls) -> Limits:
        """The limits in ``$ATESC_MAX_QUEUED_RUNS`` and ``$ATESC_MAX_RUNS_GB``. Raises LimitError: not a number."""
        queued, size = _number(MAX_QUEUED_VARIABLE), _number(MAX_GB_VARIABLE)
        return cls(MAX_QUEUED if queued is None else int(queued), size)


@dataclass(frozen=True)
class RunSize:
    """Bytes of a run's files. ``needed``: specification, checkpoint and log; without them it cannot be resumed."""

    images: int = 0
    students: int = 0
    fork_points: int = 0
    needed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.images + self.students + self.fork_points + self.needed


FOLDERS = {"snapshots": "images", "students": "students", "fork_points": "fork_points"}


def run_size(folder: Path) -> RunSize:
    """The sizes of a run's files. A file that vanishes meanwhile counts as nothing."""
    sizes = dict.fromkeys(("images", "students", "fork_points", "needed"), 0)
    for path, size in _files(folder):
        sizes[FOLDERS.get(path.relative_to(folder).parts[0], "needed")] += size
    return RunSize(**sizes)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if there is none."""
    return sum(size for _, size in _files(folder))


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


def check_room(runs_dir: Path, queued: int, limits: Limits, new: int = 1) -> None:
    """Raises LimitError if ``new`` more runs may not be queued: too many wait, the folder or the disk is full."""
    ways = "Make room on the page Storage, or with `atesc runs delete` and `atesc runs thin`"
    if queued + new > limits.queued_runs:
        more = f", and {new:,} more would" if new > 1 else ""
        raise LimitError(
            f"queue: {queued:,} runs wait already{more}; at most {limits.queued_runs:,} may. Stop some, or raise "
            f"${MAX_QUEUED_VARIABLE}"
        )
    if (free := free_bytes(runs_dir)) < LEAST_FREE_BYTES:
        raise LimitError(
            f"disk: {free / 1e9:.2f} GB are free for {runs_dir}; a new run needs {LEAST_FREE_BYTES / 1e9} GB. {ways}"
        )
    size = folder_size(runs_dir) - folder_size(runs_dir / "cache") if limits.runs_gb is not None else 0
    if limits.runs_gb is not None and size > limits.runs_gb * 1e9:
        raise LimitError(
            f"disk: {runs_dir} has {size / 1e9:.2f} GB without its cache; at most {limits.runs_gb:g} are allowed "
            f"(${MAX_GB_VARIABLE}). {ways}"
        )


def thin(folder: Path, status: str) -> int:
    """Delete the synthetic images and students of all epochs but first and last, and checkpoints for trials.

    What the run logged stays, and so do its curves. Thinned epochs have no threshold view, no map and no student.

    Args:
        folder: the run's.
        status: its status.

    Returns:
        The bytes that were freed.

    Raises:
        RunBusyError: the run is not ended; a paused or waiting one may still branch off its checkpoints.
        StoreError: a file could not be deleted.
    """
    if status in ("queued", "running", "paused"):
        raise RunBusyError(f"run: {folder.name} is {status}; it can be thinned when it has ended")
    before = run_size(folder).total
    try:
        for name in FOLDERS:
            files = sorted((folder / name).glob("[0-9]*.*"), key=lambda path: int(path.stem))
            for path in files if name == "fork_points" else files[1:-1]:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be thinned ({error.strerror})") from error
    return before - run_size(folder).total


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(OSError):
                yield path, path.lstat().st_size


def _number(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    with contextlib.suppress(ValueError):
        if (value := float(text)) > 0:
            return value
    raise LimitError(f"${variable} is {text!r}; expected a number above 0")
