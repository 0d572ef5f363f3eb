"""The runs' SQLite database: its tables, and short transactions on it.

WAL mode: readers never wait for the writer, and a commit survives the death of its process
(``synchronous = NORMAL``: the last commits may be lost when the *machine* loses power, the
database itself may not).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atesc_core.errors import StoreError
from atesc_core.runs.locks import gate

VERSION = 6  # raised when TABLES change; 1 to 4 were those of version 0.1

TABLES = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    label TEXT,
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
    device_kind TEXT,                     -- of the worker that runs it; names the device lock
    device TEXT,                          -- description of that device
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
CREATE TABLE workers (
    kind TEXT PRIMARY KEY,
    serves TEXT NOT NULL                  -- JSON list of the requested devices that mean this kind on this machine
);
CREATE TABLE starting (
    requested_device TEXT PRIMARY KEY,    -- a worker was started for this device and has not yet reported
    pid INTEGER NOT NULL,
    time REAL NOT NULL,
    attempts INTEGER NOT NULL             -- successive starts without a report
);
"""


LOCK_S = 30  # that a statement waits for another program's write
LOCK_ATTEMPTS = 10  # so that a backup does not fail a run of hours


class Database:
    """One connection, shared by the threads of a process, one statement or transaction at a time."""

    def __init__(self, path: Path):
        """Opens the database; creates it if it is missing. Raises StoreError."""
        self._lock, self._path = threading.RLock(), path
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
                    self._create_tables()
        except sqlite3.Error as error:
            raise StoreError(_sentence(path, error)) from error
        self._inode = path.stat().st_ino
        if self._version() != VERSION:
            raise StoreError(
                f"{path}: was written by another version of this program (format {self._version()}, "
                f"this one reads {VERSION}); use that version or choose another runs folder"
            )

    def _connect(self) -> sqlite3.Connection:
        """A connection that writes; one that only reads, if the folder or the file cannot be written."""
        writable = os.access(self._path if self._path.exists() else self._path.parent, os.W_OK)
        if writable and os.access(self._path.parent, os.W_OK):
            return sqlite3.connect(self._path, timeout=LOCK_S, isolation_level=None, check_same_thread=False)
        address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _create_tables(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self.write() as connection:
            if self._version() == 0:
                for statement in TABLES.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")

    def exists(self) -> bool:
        """Whether the file is still there, and the one that was opened."""
        with contextlib.suppress(OSError):
            return self._path.stat().st_ino == self._inode
        return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a SELECT statement. Raises StoreError if the database cannot be read."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(_sentence(self._path, error)) from error

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; rolled back if its body raises.

        Inside another transaction of the same thread, it is a part of that one. While another program holds the
        database, it waits: LOCK_ATTEMPTS times LOCK_S seconds.

        Raises:
            StoreError: the database cannot be written; the message says what to do.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._begin()
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError):
                    raise StoreError(_sentence(self._path, error)) from error
                raise

    def _begin(self) -> None:
        for attempt in range(1, LOCK_ATTEMPTS + 1):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == LOCK_ATTEMPTS:
                    raise StoreError(_sentence(self._path, error)) from error
            else:
                return


def _text(stored: bytes) -> str:
    """A text of the database; bytes that are damaged do not make its whole table unreadable."""
    return stored.decode(errors="replace")


def _sentence(path: Path, error: sqlite3.Error) -> str:
    """What is wrong with the database, and what to do."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"{path}: another program has held it for {LOCK_S * LOCK_ATTEMPTS} s; end that program, then try again"
            )
        case sqlite3.SQLITE_FULL:
            return f"{path}: the disk is full; delete runs or other files, then try again"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return f"{path}: cannot be written; runs can be looked at, and nothing can be started, changed or deleted"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damage(path, str(error))
    return f"{path}: cannot be used as the runs' database ({error})"


def _damage(path: Path, what: str) -> str:
    return (
        f"{path}: is damaged ({what}); move it away, or put a copy of it in its place. The files of the runs, beside "
        "it, are kept"
    )
