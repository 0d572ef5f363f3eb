"""The runs' SQLite database: its tables, and short transactions on it.

WAL mode: readers never wait for the writer, and a commit survives the death of its process
(``synchronous = NORMAL``: the last commits may be lost when the *machine* loses power, the
database itself may not).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atesc_core.errors import StoreError
from atesc_core.runs.locks import gate, is_held

VERSION = 7  # raised when TABLES change; 1 to 4 were those of version 0.1

TABLES = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    label TEXT,                           -- its name, for people
    note TEXT,                            -- what people wrote about it
    tags TEXT NOT NULL DEFAULT '[]',      -- JSON list of short texts
    run_group TEXT,                       -- runs of one group belong together ("group" is an SQL word)
    task TEXT NOT NULL,                   -- distillation or training
    spec TEXT NOT NULL,                   -- RunSpec or TeacherSpec as JSON
    fork TEXT,                            -- JSON object: the run it branched off, after which epoch
    requested_device TEXT NOT NULL,       -- spec.device: auto, cpu, cuda, mps
    epochs INTEGER NOT NULL,              -- the last one; a fork may end before its spec
    rounds INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued',
    created REAL NOT NULL,                -- unix seconds, as all times here
    queued REAL NOT NULL,                 -- orders the queue
    started REAL,
    finished REAL,
    requested_state TEXT NOT NULL DEFAULT 'run',  -- run, pause or stop: what the user asks of the worker
    steps_left INTEGER NOT NULL DEFAULT 0,
    pending_threshold REAL,               -- set by the user, not yet applied by the worker
    seconds_per_turn REAL,                -- NULL: whole rounds; 0: turn by turn; else slow motion
    worker INTEGER,                       -- the worker that has it: its number names its lock
    device TEXT,                          -- description of the device on which it was computed
    build TEXT,                           -- JSON object: what its numbers depend on beside the spec
    epoch INTEGER NOT NULL DEFAULT 0,     -- of the last logged event
    round INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0,
    images_per_s REAL,
    eta_s REAL,
    error TEXT
);
CREATE INDEX runs_by_status ON runs (status, queued);
CREATE INDEX runs_by_age ON runs (created);
CREATE TABLE rounds (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    round INTEGER NOT NULL,
    time REAL NOT NULL,
    images INTEGER NOT NULL,
    threshold REAL,
    fragile_share REAL,
    losses TEXT NOT NULL,                 -- JSON object
    PRIMARY KEY (run, epoch, round)
) WITHOUT ROWID;
CREATE TABLE epochs (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    time REAL NOT NULL,
    images INTEGER NOT NULL,
    metrics TEXT NOT NULL,                -- JSON object, percentages
    recalls TEXT NOT NULL,                -- JSON list: of each ID class, by label, in per cent
    trap_label INTEGER,                   -- the label that the teacher gives most OOD images
    PRIMARY KEY (run, epoch)
) WITHOUT ROWID;
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    round INTEGER NOT NULL,
    value REAL,
    text TEXT
);
CREATE INDEX history_by_run ON history (run, number);
CREATE TABLE devices (
    kind TEXT PRIMARY KEY,                -- cpu, cuda, mps
    serves TEXT NOT NULL,                 -- JSON list of the requested devices that mean this kind on this machine
    slots TEXT NOT NULL                   -- JSON list of the names of its slots, which name their locks
);
CREATE TABLE workers (
    number INTEGER PRIMARY KEY,           -- names its lock
    kind TEXT NOT NULL                    -- of its device
);
CREATE TABLE starting (
    number INTEGER PRIMARY KEY,           -- a worker that was started and has not yet reported
    requested_device TEXT NOT NULL,
    pid INTEGER NOT NULL,                 -- of the process that starts it, then its own
    time REAL NOT NULL
);
"""


# What makes a database of the version before one of this version. Its workers know nothing of this one's locks.
UPGRADE = """
ALTER TABLE runs ADD COLUMN note TEXT;
ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE runs DROP COLUMN device_kind;
ALTER TABLE runs ADD COLUMN worker INTEGER;
ALTER TABLE runs ADD COLUMN build TEXT;
UPDATE runs SET status = 'interrupted', images_per_s = NULL, eta_s = NULL WHERE status IN ('running', 'paused');
DROP TABLE workers;
DROP TABLE starting;
""" + TABLES[TABLES.index("CREATE TABLE devices") :]

PATIENCE_S = 5.0  # that a statement waits while another program holds the database; a visitor waits no longer
WORKER_PATIENCE_S = 300.0  # the same in a worker, so that a backup does not fail a run of hours
RETRY_S = 0.02  # between two attempts


class Database:
    """One connection, shared by the threads of a process, one statement or transaction at a time."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S):
        """Opens the database; creates it if it is missing. Raises StoreError.

        Args:
            path: its file. Where it cannot be written, it is only read.
            patience_s: seconds that a statement waits while another program holds the database.
        """
        self._lock, self._path, self._patience_s = threading.RLock(), path, patience_s
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        existed = path.exists()
        try:
            self._connection = self._connect()
            self._connection.row_factory = sqlite3.Row
            self._connection.text_factory = _text
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            if self._version() == 0:
                with gate(path.parent):  # two processes may open a new folder at once
                    if existed and self._version() == 0 and any(path.parent.glob("runs/*")):
                        raise StoreError(_damage(path, "it is empty, and there are runs"))
                    self._execute(TABLES, 0)
            elif self._version() == VERSION - 1 and self.writable:
                with gate(path.parent):
                    for lock in path.parent.glob("device-*.lock"):  # those of its workers
                        if is_held(lock):
                            raise StoreError(
                                f"{path}: an earlier version of this program computes here ({lock.name} is held); wait "
                                "until its runs are done, or stop them, then try again"
                            )
                    self._execute(UPGRADE, VERSION - 1)
            self._connection.execute("PRAGMA busy_timeout = 0")  # from now on, `_locked` waits
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._sentence(error)) from error
        self._inode = path.stat().st_ino
        if self._version() != VERSION:
            raise StoreError(self._of_another_version())

    def _connect(self) -> sqlite3.Connection:
        """A connection that writes; one that only reads, if the folder or the file cannot be written."""
        exists = self._path.exists()
        self.writable = os.access(self._path.parent, os.W_OK) and (not exists or os.access(self._path, os.W_OK))
        if self.writable or not exists:
            return sqlite3.connect(self._path, self._patience_s, isolation_level=None, check_same_thread=False)
        try:
            connection = self._connect_to_read(self._path)
            connection.execute("PRAGMA user_version")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            # SQLite reads a database in WAL mode only where it can write a file beside it.
            return self._connect_to_read(self._copied())
        return connection

    def _connect_to_read(self, path: Path) -> sqlite3.Connection:
        address = f"{path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(address, self._patience_s, uri=True, isolation_level=None, check_same_thread=False)

    def _copied(self) -> Path:
        """A copy of the database, with the last transactions, which may stand in a file beside it."""
        self._copy = tempfile.TemporaryDirectory(prefix="atesc-runs-")
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{self._path}{suffix}", f"{self._copy.name}/{self._path.name}{suffix}")
        return Path(self._copy.name, self._path.name)

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _execute(self, statements: str, version: int) -> None:
        """Execute statements that make a database of ``version`` one of VERSION; none if another process just did."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self.write() as connection:
            if self._version() == version:
                for statement in statements.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")

    def _of_another_version(self) -> str:
        return (
            f"{self._path}: was written by another version of this program (format {self._version()}, "
            f"this one reads {VERSION}); use that version or choose another runs folder"
        )

    def exists(self) -> bool:
        """Whether the file is still there, and the one that was opened."""
        with contextlib.suppress(OSError):
            return self._path.stat().st_ino == self._inode
        return False

    def close(self) -> None:
        """Close the connection; delete the copy that it read, if it read one."""
        self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a SELECT statement. Raises StoreError if the database cannot be read."""
        with self._locked(sql, values, self._patience_s) as cursor:
            try:
                return cursor.fetchall()
            except sqlite3.Error as error:
                raise StoreError(self._sentence(error)) from error

    @contextlib.contextmanager
    def write(self, patience_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; rolled back if its body raises.

        Inside another transaction of the same thread, it is a part of that one. While another program holds the
        database, it waits, and other threads of this process read meanwhile.

        Args:
            patience_s: seconds to wait at most; those of the database unless given.

        Raises:
            StoreError: the database cannot be written; the message says what to do.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
        with self._locked("BEGIN IMMEDIATE", (), self._patience_s if patience_s is None else patience_s):
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError):
                    raise StoreError(self._sentence(error)) from error
                raise

    @contextlib.contextmanager
    def _locked(self, sql: str, values: tuple[Any, ...], patience_s: float) -> Iterator[sqlite3.Cursor]:
        """The result of a statement, and this process's lock; other threads have the lock between two attempts."""
        end = time.monotonic() + patience_s
        while True:
            with self._lock:
                try:
                    cursor = self._connection.execute(sql, values)
                except sqlite3.Error as error:
                    is_held = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                    if not is_held or time.monotonic() >= end:
                        raise StoreError(self._sentence(error, patience_s)) from error
                else:
                    yield cursor
                    return
            time.sleep(RETRY_S)

    def _sentence(self, error: sqlite3.Error | OSError, waited_s: float | None = None) -> str:
        """What is wrong with the database, and what to do."""
        path = self._path
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                waited_s = self._patience_s if waited_s is None else waited_s
                return f"{path}: another program has held it for {waited_s:g} s; end that program, then try again"
            case sqlite3.SQLITE_FULL:
                return f"{path}: the disk is full; delete runs or other files, then try again"
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
                return (
                    f"{path}: cannot be written; runs can be looked at, and nothing can be started, changed or deleted"
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return _damage(path, str(error))
        with contextlib.suppress(sqlite3.Error, AttributeError):  # AttributeError: it is not connected yet
            if self._version() not in (0, VERSION):
                return self._of_another_version()
        return f"{path}: cannot be used as the runs' database ({error})"


def _text(stored: bytes) -> str:
    """A text of the database; bytes that are damaged do not make its whole table unreadable."""
    return stored.decode(errors="replace")


def _damage(path: Path, what: str) -> str:
    return (
        f"{path}: is damaged ({what}); move it away, or put a copy of it in its place. The files of the runs, beside "
        "it, are kept"
    )
