"""Starts a worker for each device that queued runs wait for.

A worker is a separate process in its own session. It continues after reruns, closed tabs, and the end of the app or
of the shell that started it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

from atesc_core.errors import StoreError
from atesc_core.paths import IMPORT_ROOT
from atesc_core.runs.database import PATIENCE_S
from atesc_core.runs.locks import gate, is_taken
from atesc_core.runs.store import RunStore, note, served_devices

START_S = 120.0  # a worker that has not reported by then has failed; importing torch takes a few seconds
# Waiting OpenMP threads should give up their core soon, because the browser and the app need it too. Measured on two
# cores, a round of the quick preset: next to a busy process 0.7 s instead of 1.8 s, on idle cores 0.28 s instead of
# 0.26 s.
SHORT_SPIN = {"GOMP_SPINCOUNT": "2000"}
RETRY_S = 5.0  # between two starts for the same device
ATTEMPTS = 3  # starts that fail in a row before the waiting runs fail
LOG_BYTES = 1_000_000
_started: list[subprocess.Popen[bytes]] = []  # polled when they end, so that no zombie is left


def ensure_worker(runs_dir: Path | str) -> None:
    """Start a worker for each device that queued runs wait for and no worker serves.

    Cheap if there is nothing to do. The app calls it when it starts, whenever it queues a run, and from the timer
    of its sidebar. Does nothing in a folder that cannot be written. Raises StoreError: no worker can be started.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    store = RunStore(runs_dir)
    try:
        if store.database.writable and _waiting(store):
            with gate(store.runs_dir, PATIENCE_S):
                for requested in _waiting(store):
                    if not _served(store, requested):
                        _start(store, requested)
    finally:
        store.close()


def log_file(runs_dir: Path) -> Path:
    """The file with the output of workers, such as the reason why one could not start."""
    return runs_dir / "worker.log"


def _waiting(store: RunStore) -> list[str]:
    """The requested devices of queued runs: auto, cpu, cuda, mps."""
    rows = store.database.read("SELECT DISTINCT requested_device FROM runs WHERE status = 'queued'")
    return [row["requested_device"] for row in rows]


def _served(store: RunStore, requested: str) -> bool:
    """Whether a worker for this device runs or is starting."""
    workers = store.database.read("SELECT kind, serves FROM workers")
    if any(requested in served_devices(row) and is_taken(store.runs_dir, row["kind"]) for row in workers):
        return True
    rows = store.database.read("SELECT * FROM starting WHERE requested_device = ?", requested)
    if not rows:
        return False
    age = time.time() - rows[0]["time"]
    if 0 <= age < RETRY_S:
        return True
    return 0 <= age < START_S and _alive(rows[0]["pid"])


def _alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _start(store: RunStore, requested: str) -> None:
    rows = store.database.read("SELECT attempts FROM starting WHERE requested_device = ?", requested)
    attempts = rows[0]["attempts"] if rows else 0
    if attempts >= ATTEMPTS:
        _give_up(store, requested)
        return
    with store.database.write() as connection:  # first: a start that cannot be noted would be made again
        row = (requested, os.getpid(), time.time(), attempts + 1)
        connection.execute("INSERT OR REPLACE INTO starting VALUES (?, ?, ?, ?)", row)
    try:
        process = _spawn(store.runs_dir, requested)
    except OSError as error:
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
        raise StoreError(f"worker: no process can be started ({error.strerror}); the run waits") from error
    with store.database.write() as connection:
        connection.execute("UPDATE starting SET pid = ? WHERE requested_device = ?", (process.pid, requested))


def _spawn(runs_dir: Path, requested: str) -> subprocess.Popen[bytes]:
    log = log_file(runs_dir)
    full = log.exists() and log.stat().st_size > LOG_BYTES
    with log.open("wb" if full else "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "atesc_core.runs.worker", "--runs-dir", str(runs_dir), "--device", requested],
            cwd=IMPORT_ROOT,
            env=SHORT_SPIN | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started.append(process)
    return process


def _give_up(store: RunStore, requested: str) -> None:
    """Fail the runs that wait for a device whose worker cannot start, so that they do not wait for ever."""
    log = ""
    with contextlib.suppress(OSError):
        log = log_file(store.runs_dir).read_text(errors="replace").strip()
    last_line = (log.splitlines() or ["it printed nothing"])[-1]
    error = f"no worker could be started for device {requested!r}: {last_line[:300]}"
    with store.database.write() as connection:
        connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
        fail_queued(connection, requested, error)


def fail_queued(connection: sqlite3.Connection, requested: str, error: str) -> None:
    """Fail all runs that wait for ``requested``."""
    waiting = connection.execute("SELECT id FROM runs WHERE status = 'queued' AND requested_device = ?", (requested,))
    for row in waiting.fetchall():
        fail(connection, row["id"], error)


def fail(connection: sqlite3.Connection, run_id: str, error: str) -> None:
    """Fail a run that no worker could start."""
    connection.execute(
        "UPDATE runs SET status = 'failed', error = ?, finished = ? WHERE id = ?", (error, time.time(), run_id)
    )
    note(connection, run_id, "failed", text=error)
