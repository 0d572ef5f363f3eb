"""Copies of a lab that a test may change."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_lab(runs_dir: Path, to: Path, *without: str) -> Path:
    """Copy a lab, except files that match a pattern in ``without``; ``to`` may be an empty lab, of a server that runs.

    Other connections to both databases may be open. The database is copied by SQLite: as files, -wal and -shm could
    disappear during the copy, when another connection closes.
    """
    shutil.copytree(runs_dir, to, ignore=shutil.ignore_patterns("runs.sqlite*", *without), dirs_exist_ok=True)
    with closing(sqlite3.connect(runs_dir / "runs.sqlite")) as old, closing(sqlite3.connect(to / "runs.sqlite")) as new:
        old.backup(new)
    return to
