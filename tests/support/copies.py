"""Copies of a lab that a test may change."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_lab(runs_dir: Path, to: Path, *without: str) -> Path:
    """All of a lab except what matches a pattern of `without`, while others may have it open.

    Copied as files, its database lost -wal and -shm in mid-copy whenever the last page that read it was collected.
    """
    shutil.copytree(runs_dir, to, ignore=shutil.ignore_patterns("runs.sqlite*", *without))
    with closing(sqlite3.connect(runs_dir / "runs.sqlite")) as old, closing(sqlite3.connect(to / "runs.sqlite")) as new:
        old.backup(new)
    return to
