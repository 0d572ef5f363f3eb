"""Locks of devices: one operating-system file lock per device, each taken only while the gate lock is held.

The operating system frees a lock when its process ends, for whatever reason, so a device lock that
nobody holds means that the device has no worker. To test a lock is to take it for a moment; the
gate prevents that such a test is mistaken for a worker. It also prevents that a run is queued
between the moment when a worker finds the queue empty and the moment when it gives up its device.
"""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock, Timeout

KIND = re.compile(r"[a-z0-9_-]{1,20}")


def gate(runs_dir: Path) -> FileLock:
    """The lock to hold while taking or testing others, for milliseconds only. Raises filelock.Timeout after 30 s."""
    return FileLock(runs_dir / "gate.lock", timeout=30, poll_interval=0.005)


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
