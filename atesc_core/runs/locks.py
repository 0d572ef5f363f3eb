"""Locks of workers and of slots: operating-system file locks, each taken only while the gate lock is held.

Each worker holds a lock of its own for as long as it lives, and, while it computes, those of its slots. The operating
system frees a lock when its process ends, for whatever reason, so a worker's lock that nobody holds means that its
process has ended. To test a lock is to take it for a moment; the gate prevents that such a test is mistaken for a
holder. It also prevents that a run is queued between the moment when a worker finds nothing to do and the moment when
it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from atesc_core.errors import StoreError

NAME = re.compile(r"[a-z0-9_-]{1,40}")


@contextlib.contextmanager
def gate(runs_dir: Path, timeout_s: float = 30.0) -> Iterator[None]:
    """Hold the lock that is held while others are taken or tested, for milliseconds only.

    Raises StoreError if others have held it for ``timeout_s``, or if the folder cannot be written.
    """
    lock = FileLock(runs_dir / "gate.lock", timeout=timeout_s, poll_interval=0.005)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(f"{lock.lock_file}: another program has held it for {timeout_s:g} s; try again") from None
    except OSError as error:
        raise StoreError(f"{lock.lock_file}: cannot be written ({error.strerror}); no run can be started") from error
    try:
        yield
    finally:
        lock.release()


def take(runs_dir: Path, name: str) -> FileLock | None:
    """The lock of this name, or None if it is held. Call it while holding the gate."""
    return _take(_file(runs_dir, name))


def _file(runs_dir: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise ValueError(f"lock: {name!r}: expected lower-case letters, digits, '-' and '_', at most 40")
    return runs_dir / "locks" / f"{name}.lock"


def _take(path: Path) -> FileLock | None:
    lock = FileLock(path)
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be locked ({error.strerror}); no run can be started") from error
    return lock


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file. Call it while holding the gate."""
    if (lock := _take(path)) is None:
        return True
    lock.release()
    return False


def is_taken(runs_dir: Path, name: str) -> bool:
    """Whether a process holds the lock of this name. Call it while holding the gate."""
    return is_held(_file(runs_dir, name))


def worker_lock(number: int) -> str:
    """Name of the lock that the worker of this number holds."""
    return f"worker-{number}"


def take_worker(runs_dir: Path) -> tuple[int, FileLock]:
    """The first number, from 1, that no worker has, and its lock. Call it while holding the gate."""
    for number in itertools.count(1):
        if (lock := take(runs_dir, worker_lock(number))) is not None:
            return number, lock
    raise AssertionError


def take_slots(runs_dir: Path, names: list[str], wanted: int) -> dict[str, FileLock]:
    """``wanted`` of these slots and their locks; none if so many are not free. Call it while holding the gate."""
    taken: dict[str, FileLock] = {}
    for name in names:
        if (lock := take(runs_dir, slot_lock(name))) is not None:
            taken[name] = lock
            if len(taken) == wanted:
                return taken
    for lock in taken.values():
        lock.release()
    return {}


def slot_lock(name: str) -> str:
    """Name of the lock of a slot."""
    return f"slot-{name}"
