"""Disks that are full, and folders that cannot be written."""

from __future__ import annotations

import shutil
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from atesc_core.runs import RunStore


def fill_disk(monkeypatch: pytest.MonkeyPatch, ballast: Path) -> None:
    """No database that is opened from now on can be written while ``ballast``, which fills the disk, exists."""

    class OnFullDisk(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql == "COMMIT" and ballast.exists():
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=OnFullDisk))


def read_only_copy(monkeypatch: pytest.MonkeyPatch, store: RunStore, to: Path) -> Path:
    """A copy of a lab while its last transactions are in the file beside its database; nothing can be written there.

    Tests may run as root, who can write anywhere: the folder says that it cannot be written, a lock in it is refused,
    and a folder has the name of the file that SQLite would make there.
    """
    assert (store.runs_dir / "runs.sqlite-wal").stat().st_size > 0
    shutil.copytree(store.runs_dir, to, ignore=shutil.ignore_patterns("runs.sqlite-shm"))
    (to / "runs.sqlite-shm").mkdir()

    class RefusedLock:
        def __init__(self, path: Path, **options: object):
            self.lock_file = str(path)

        def acquire(self, **options: object) -> None:
            raise PermissionError(13, "Permission denied", self.lock_file)

    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("atesc_core.runs.locks.FileLock", RefusedLock)
    return to
