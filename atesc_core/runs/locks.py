"""Who may use a device: one operating-system file lock per device, all of them taken behind one gate.

The operating system frees a lock when its process dies, however it dies, so a device lock that
nobody holds means that no worker runs there. Testing a lock means taking it for a moment; the
gate keeps a test from being mistaken for a worker, and it closes the gap between a worker that
finds the queue empty and a run that is queued just then.
"""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock, Timeout

KIND = re.compile(r"[a-z0-9_-]{1,20}")


def gate(runs_dir: Path) -> FileLock:
    """The lock around all others; hold it for milliseconds only. Raises filelock.Timeout after 30 s."""
    return FileLock(runs_dir / "gate.lock", timeout=30, poll_interval=0.005)


def take_device(runs_dir: Path, kind: str) -> FileLock | None:
    """The lock of a device kind ("cpu", "cuda" ...), or None where a worker has it. Call behind the gate."""
    if not KIND.fullmatch(kind):
        raise ValueError(f"device: {kind!r} is not a device kind")
    lock = FileLock(runs_dir / f"device-{kind}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_taken(runs_dir: Path, kind: str) -> bool:
    """Whether a worker holds the device. Call behind the gate."""
    lock = take_device(runs_dir, kind)
    if lock is None:
        return True
    lock.release()
    return False
