"""Locks of devices: one operating-system file lock per device, each taken only while the gate lock is held.

The operating system frees a lock when its process ends, for whatever reason, so a device lock that
nobody holds means that the device has no worker. To test a lock is to take it for a moment; the
gate prevents that such a test is mistaken for a worker. It also prevents that a run is queued
between the moment when a worker finds the queue empty and the moment when it gives up its device.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from atesc_core.errors import StoreError

KIND = re.compile(r"[a-z0-9_-]{1,20}")


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


def take_device(runs_dir: Path, kind: str) -> FileLock | None:
    """The lock of a device kind ("cpu", "cuda" ...), or None if a worker holds it. Call it while holding the gate."""
    if not KIND.fullmatch(kind):
        raise ValueError(f"device: {kind!r} is not a device kind")
    lock = FileLock(runs_dir / f"device-{kind}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_taken(runs_dir: Path, kind: str) -> bool:
    """Whether a worker holds the device. Call it while holding the gate."""
    lock = take_device(runs_dir, kind)
    if lock is None:
        return True
    lock.release()
    return False
