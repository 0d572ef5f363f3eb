"""Starts workers for queued runs.

A worker is a separate process in its own session. It continues after reruns, closed tabs, and the end of the app or
of the shell that started it.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from atesc_core.errors import StoreError
from atesc_core.paths import IMPORT_ROOT
from atesc_core.runs.database import PATIENCE_S
from atesc_core.runs.locks import gate, is_taken, slot_lock, worker_lock
from atesc_core.runs.store import ON_RAY, THREADS, RunStore, listed, note

START_S = 120.0  # a worker that has not reported by then has failed; importing torch takes a few seconds
# Waiting OpenMP threads should give up their core soon, because the browser and the app need it too. Measured on two
# cores, a round of the quick preset: next to a busy process 0.7 s instead of 1.8 s, on idle cores 0.28 s instead of
# 0.26 s.
SHORT_SPIN = {"GOMP_SPINCOUNT": "2000"}
FEWER_THREADS = ("OMP_DYNAMIC", "OMP_THREAD_LIMIT")  # with these, a run could have fewer than it asks for
TOGETHER_S = 1.0  # starts that are no further apart have one cause to fail
RETRY_S = 5.0  # between two starts for the same device
ATTEMPTS = 3  # starts that fail in a row before the waiting runs fail
LOG_BYTES = 1_000_000
_started: list[subprocess.Popen[bytes]] = []  # polled when they end, so that no zombie is left


def ensure_worker(runs_dir: Path | str) -> None:
    """Start a worker for each queued run that finds free slots and no worker.

    Cheap if there is nothing to do. The app calls it when it starts, whenever it queues a run, and from the timer
    of its sidebar; a worker, when it takes or pauses a run. Does nothing in a folder that cannot be written.
    Raises StoreError: no worker can be started.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    store = RunStore(runs_dir)
    try:
        if store.database.writable and _waiting(store):
            with gate(store.runs_dir, PATIENCE_S):
                for requested in _lacking(store):
                    _start(store, requested)
    finally:
        store.close()


def log_file(runs_dir: Path) -> Path:
    """The file with the output of workers, such as the reason why one could not start."""
    return runs_dir / "worker.log"


def _waiting(store: RunStore) -> list[sqlite3.Row]:
    """Requested device, threads and worker of each queued run, in the order of the queue."""
    return store.database.read(
        f"SELECT requested_device, worker, {THREADS} AS threads FROM runs "
        "WHERE status = 'queued' AND requested_device <> ? ORDER BY queued, rowid",
        ON_RAY,
    )


def _lacking(store: RunStore) -> list[str]:
    """The requested device of each worker that is to be started now. Call it in the gate."""
    devices = {
        requested: (row["kind"], listed(row["slots"]))
        for row in store.database.read("SELECT * FROM devices")
        for requested in listed(row["serves"])
    }
    free: dict[str, int] = {}  # by kind of device: slots that nobody holds
    idle = Counter(_idle_workers(store))  # by kind: workers that live and have no run
    lacking = []
    for row in _waiting(store):
        requested = row["requested_device"]
        # What a device is on this machine, the first worker that is started for it reports.
        kind, names = devices.get(requested, (requested, []))
        if kind not in free:
            free[kind] = sum(not is_taken(store.runs_dir, slot_lock(name)) for name in names) if names else 1
            idle[kind] += sum(
                _starting(store, other) for other in {requested, *devices} if _kind(devices, other) == kind
            )
        if row["worker"] is not None and is_taken(store.runs_dir, worker_lock(row["worker"])):
            free[kind] = 0  # its own worker takes it, and then looks after the later ones
        wanted = min(row["threads"], max(1, len(names))) if kind == "cpu" else 1
        free[kind] -= wanted
        if free[kind] < 0:
            continue  # it waits, and the later ones behind it
        if idle[kind]:
            idle[kind] -= 1
        else:
            lacking.append(requested)
    return lacking


def _kind(devices: dict[str, tuple[str, list[str]]], requested: str) -> str:
    return devices.get(requested, (requested, []))[0]


def _idle_workers(store: RunStore) -> list[str]:
    """The kind of device of each worker that lives and has no run. Call it in the gate."""
    rows = store.database.read(
        "SELECT number, kind FROM workers WHERE number NOT IN "
        "(SELECT worker FROM runs WHERE worker IS NOT NULL AND status IN ('running', 'paused', 'queued'))"
    )
    return [row["kind"] for row in rows if is_taken(store.runs_dir, worker_lock(row["number"]))]


def _starting(store: RunStore, requested: str) -> int:
    """How many workers for this device have been started and have not yet reported."""
    rows = store.database.read("SELECT pid, time FROM starting WHERE requested_device = ?", requested)
    return sum(map(_is_starting, rows))


def _is_starting(row: sqlite3.Row) -> bool:
    age = time.time() - row["time"]  # below 0 after the clock was set back
    return abs(age) < RETRY_S or (age < START_S and _alive(row["pid"]))


def _failed_attempts(store: RunStore, requested: str) -> int:
    """How often in a row workers for this device ended without a report; those started together count once."""
    rows = store.database.read("SELECT pid, time FROM starting WHERE requested_device = ? ORDER BY time", requested)
    attempts, last = 0, -math.inf
    for row in rows:
        if not _is_starting(row):
            attempts += row["time"] - last > TOGETHER_S
            last = row["time"]
    return attempts


def _alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _start(store: RunStore, requested: str) -> None:
    """Start a worker, unless so many in a row have ended without a report that it is given up."""
    if _failed_attempts(store, requested) >= ATTEMPTS:
        _give_up(store, requested)
        return
    with store.database.write() as connection:  # first: a start that cannot be noted would be made again
        number = connection.execute(
            "INSERT INTO starting (requested_device, pid, time) VALUES (?, ?, ?)", (requested, os.getpid(), time.time())
        ).lastrowid
    try:
        process = _spawn(store.runs_dir, requested)
    except OSError as error:
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE number = ?", (number,))
        raise StoreError(f"worker: no process can be started ({error.strerror}); the run waits") from error
    with store.database.write() as connection:
        connection.execute("UPDATE starting SET pid = ? WHERE number = ?", (process.pid, number))


def forget_starts(connection: sqlite3.Connection, requested: str) -> None:
    """Note that this process is a worker that has started for ``requested``: its own start and failed ones go."""
    rows = connection.execute("SELECT number, pid FROM starting WHERE requested_device = ?", (requested,)).fetchall()
    for row in rows:
        if row["pid"] == os.getpid() or not _alive(row["pid"]):
            connection.execute("DELETE FROM starting WHERE number = ?", (row["number"],))


def _spawn(runs_dir: Path, requested: str) -> subprocess.Popen[bytes]:
    log = log_file(runs_dir)
    full = log.exists() and log.stat().st_size > LOG_BYTES
    with log.open("wb" if full else "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "atesc_core.runs.worker", "--runs-dir", str(runs_dir), "--device", requested],
            cwd=IMPORT_ROOT,
            env=SHORT_SPIN | {name: value for name, value in os.environ.items() if name not in FEWER_THREADS},
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
