"""The process that runs the queue of one device: ``python -m atesc_core.runs.worker --runs-dir D``.

The process holds the device's lock, takes runs from the queue until it is empty, and exits; with ``--stay`` it waits
for more. A run is a generator of events, from the distillation loop or from a teacher's training. The worker stores
each event, and between rounds (or turns, if these are traced) it reads the user's requests. To pause a run, the worker
stops reading its generator and uses the device for the next run in the queue.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from atesc_core.device import describe, pick_device
from atesc_core.distillation.events import Event
from atesc_core.distillation.loop import Controls, distill
from atesc_core.domains.loading import load_pair
from atesc_core.errors import StoreError
from atesc_core.runs.database import WORKER_PATIENCE_S
from atesc_core.runs.launcher import ensure_worker, fail, fail_queued
from atesc_core.runs.locks import gate, is_taken, take_device
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import DistillationRun, Run, TrainingRun
from atesc_core.runs.session import Events, Session
from atesc_core.runs.store import RunStore, interrupt
from atesc_core.runs.turn_control import POLL_S
from atesc_core.teachers.training import train_own
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator

EVERY_DEVICE = ("auto", "cpu", "cuda", "mps")
IDLE_S = 1.0  # between two reads of an empty queue, or of a device that another worker has, with ``--stay``


def run_events(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    """The events of the distillation loop, or of a teacher's training.

    A student is measured on its teacher's pair. A trained teacher is saved under ``runs_dir`` at the end.
    """
    if isinstance(run, TrainingRun):
        return train_own(run.spec, runs_dir, resume)
    assert isinstance(run, DistillationRun)
    teacher = load_teacher(run.spec.teacher, runs_dir)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    evaluate = Evaluator(data, pick_device(run.spec.device), teacher=teacher.model)
    return distill(run.spec, teacher, evaluate, controls, resume, until=run.epochs)


class Worker:
    """Runs the queue of one device; call ``drain`` while holding ``lock``."""

    def __init__(
        self,
        store: RunStore,
        device: torch.device,
        lock: FileLock,
        events: Events,
        leaving: threading.Event,
        stay: bool = False,
    ):
        """Setting ``leaving`` ends the work after the current round. ``stay``: not when the queue is empty."""
        self.store, self.device, self.lock, self.events, self.leaving = store, device, lock, events, leaving
        self.stay = stay
        self.summary = describe(device).summary
        self.serves = device_names(device)
        self.paused: dict[str, Session] = {}  # by run id
        self.device_failed = False

    def drain(self) -> None:
        """Run until the queue is empty and no paused run is left, or, with ``stay``, until ``leaving`` is set."""
        while not (self.leaving.is_set() or self.device_failed):
            run = self.take_next()
            if run is not None:
                self.drive(run)
            elif not self.store.exists():
                return
            elif self.drop_ended():
                time.sleep(POLL_S)
            elif self.stay:
                time.sleep(IDLE_S)
            else:
                with gate(self.store.runs_dir):  # a run that is queued after this block finds the device free
                    if self.next_queued() is None:
                        self.lock.release()
                        return

    def next_queued(self) -> str | None:
        """The id of the run that is next in the queue for this device."""
        rows = self.store.database.read(
            "SELECT id FROM runs WHERE status = 'queued' AND requested_device IN (SELECT value FROM json_each(?)) "
            "ORDER BY queued, rowid LIMIT 1",
            json.dumps(self.serves),
        )
        return rows[0]["id"] if rows else None

    def take_next(self) -> Run | None:
        """Mark the next run of the queue as running and return it; None if the queue is empty."""
        with self.store.database.write() as connection:
            run_id = self.next_queued()
            if run_id is None:
                return None
            connection.execute(
                "UPDATE runs SET status = 'running', started = coalesce(started, ?), finished = NULL, error = NULL, "
                "device_kind = ?, device = ? WHERE id = ?",
                (time.time(), self.device.type, self.summary, run_id),
            )
        try:
            return self.store.get(run_id)
        except StoreError as error:  # queued by another version: it must not block the queue
            with self.store.database.write() as connection:
                fail(connection, run_id, str(error))
            return self.take_next()

    def drop_ended(self) -> bool:
        """Drop the sessions of paused runs that were stopped or deleted. Returns whether a session is left."""
        rows = self.store.database.read("SELECT id FROM runs WHERE status IN ('paused', 'queued')")
        alive = {row["id"] for row in rows}
        self.paused = {run_id: session for run_id, session in self.paused.items() if run_id in alive}
        return bool(self.paused)

    def drive(self, run: Run) -> None:
        """Run or continue a run until it is over or the user halts it."""
        session = self.paused.pop(run.id, None)
        log = session.log if session else RunLog(self.store, run)
        stepping = run.requested_state == "pause"
        try:
            if session is None:
                session = Session.open(log, self.events)
                log.note_start(session.next_round[0] - 1)
            elif not stepping:
                log.note("resumed")
            outcome = session.go_on(lambda: self.leaving.is_set() or not self.store.exists())
        except Exception as error:  # any error ends this run, but not the queue
            if not self.store.exists():  # somebody has deleted the runs folder
                self.leaving.set()
                return
            log.fail(error)
            # A CUDA error, of which some are plain RuntimeErrors, can break the whole process, not only this run.
            self.device_failed = self.device.type == "cuda" and isinstance(error, RuntimeError)
            return
        if not self.store.exists():
            self.leaving.set()
        elif outcome != "halted":
            log.end(outcome)
        elif log.halt(stepping) != "stopped":
            self.paused[run.id] = session


def device_names(device: torch.device) -> list[str]:
    """The values of ``spec.device`` that mean this device on this machine."""
    names = []
    for name in EVERY_DEVICE:
        with contextlib.suppress(ValueError):
            if pick_device(name).type == device.type:
                names.append(name)
    return names


def claim_device(store: RunStore, requested: str, device: torch.device) -> FileLock | None:
    """The device's lock; None if another worker holds it: that one reads the queue again before it exits."""
    with gate(store.runs_dir):
        lock = take_device(store.runs_dir, device.type)
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
            if lock is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO workers VALUES (?, ?)", (device.type, json.dumps(device_names(device)))
                )
                interrupt(connection, device.type)
        return lock


def work(
    runs_dir: Path,
    requested: str = "auto",
    events: Events = run_events,
    leaving: threading.Event | None = None,
    stay: bool = False,
) -> None:
    """Run everything that is queued for a device; returns at once if another worker holds it.

    Args:
        runs_dir: the folder of the runs.
        requested: the device.
        events: makes the events of a run.
        leaving: setting it ends the work after the current round: the run is interrupted and can be resumed.
        stay: wait for the device if another worker holds it, and for more runs when the queue is empty.

    Raises:
        StoreError: the device failed while the worker was to stay; it can be started again.
    """
    store, leaving = RunStore(runs_dir, patience_s=WORKER_PATIENCE_S), leaving or threading.Event()
    try:
        device = pick_device(requested)
    except ValueError as error:
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
            fail_queued(connection, requested, str(error))
        return
    while (lock := claim_device(store, requested, device)) is None:
        if not (stay and _wait_for_device(store, device, leaving)):
            return
    worker = Worker(store, device, lock, events, leaving, stay)
    try:
        worker.drain()
    finally:
        lock.release()
    if worker.device_failed and stay:
        raise StoreError(f"device: {worker.summary} failed in this process; start the worker again")
    if worker.device_failed:
        ensure_worker(store.runs_dir)


def _wait_for_device(store: RunStore, device: torch.device, leaving: threading.Event) -> bool:
    """Wait until no worker holds the device. Returns false if ``leaving`` was set, or the folder deleted, before."""
    while not leaving.is_set() and store.exists():
        with gate(store.runs_dir):
            if not is_taken(store.runs_dir, device.type):
                return True
        time.sleep(IDLE_S)
    return False


def serve(runs_dir: Path, requested: str, stay: bool = False) -> None:
    """Call ``work`` in a process of its own, which SIGTERM and Ctrl-C end after the current round."""
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    work(runs_dir, requested, leaving=leaving, stay=stay)


def main() -> None:
    """Serve the device that the command line names."""
    parser = argparse.ArgumentParser(description="Run what is queued for one device.")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--device", choices=EVERY_DEVICE, default="auto")
    arguments = parser.parse_args()
    serve(arguments.runs_dir, arguments.device)


if __name__ == "__main__":
    main()
