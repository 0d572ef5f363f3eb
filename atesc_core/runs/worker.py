"""The process that runs what is queued for one device: ``python -m atesc_core.runs.worker --runs-dir D``.

It holds the device's lock, takes runs in line until there are none, and exits. A run is a generator
of events, the loop's or a teacher's training's: each is written down, and between rounds (or turns,
where these are looked at closely) the worker reads what the user asks. To pause is not to ask for the
next event; the generator stays as it is while the device goes to the next run in line.
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
from atesc_core.runs.launcher import ensure_worker, fail, fail_queued
from atesc_core.runs.locks import gate, take_device
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import DistillationRun, Run, TrainingRun
from atesc_core.runs.session import IDLE_S, Events, Session
from atesc_core.runs.store import RunStore, interrupt
from atesc_core.teachers.training import train_own
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator

EVERY_DEVICE = ("auto", "cpu", "cuda", "mps")


def run_events(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    """The run's events: the distillation loop's, with its student measured on its teacher's pair, or those of a
    teacher's training, which has no threshold and at whose end the teacher joins those under ``runs_dir``."""
    if isinstance(run, TrainingRun):
        return train_own(run.spec, runs_dir, resume)
    assert isinstance(run, DistillationRun)
    teacher = load_teacher(run.spec.teacher, runs_dir)
    evaluate = Evaluator(load_pair(teacher.card.pair, teacher.card.image_side), pick_device(run.spec.device))
    return distill(run.spec, teacher, evaluate, controls, resume, until=run.epochs)


class Worker:
    """Takes runs in line for one device; call ``drain`` while holding ``lock``."""

    def __init__(self, store: RunStore, device: torch.device, lock: FileLock, events: Events, leaving: threading.Event):
        self.store, self.device, self.lock, self.events, self.leaving = store, device, lock, events, leaving
        self.summary = describe(device).summary
        self.serves = meaning(device)
        self.held: dict[str, Session] = {}  # paused runs
        self.spoilt = False

    def drain(self) -> None:
        """Until there is nothing to run, no paused run is left, or the process is asked to leave."""
        while not (self.leaving.is_set() or self.spoilt):
            run = self.take()
            if run is not None:
                self.drive(run)
            elif self.keep_held():
                time.sleep(IDLE_S)
            else:
                with gate(self.store.runs_dir):  # whoever queues a run now finds the device free
                    if not self.waiting():
                        self.lock.release()
                        return

    def waiting(self) -> list[str]:
        rows = self.store.database.read(
            "SELECT id FROM runs WHERE status = 'queued' AND requested_device IN (SELECT value FROM json_each(?)) "
            "ORDER BY queued, rowid LIMIT 1",
            json.dumps(self.serves),
        )
        return [row["id"] for row in rows]

    def take(self) -> Run | None:
        """The next run in line, now marked as running here."""
        with self.store.database.write() as connection:
            ids = self.waiting()
            if not ids:
                return None
            connection.execute(
                "UPDATE runs SET status = 'running', started = coalesce(started, ?), finished = NULL, error = NULL, "
                "device_kind = ?, device = ? WHERE id = ?",
                (time.time(), self.device.type, self.summary, ids[0]),
            )
        try:
            return self.store.get(ids[0])
        except StoreError as error:  # queued by another version: it must not stop the line
            with self.store.database.write() as connection:
                fail(connection, ids[0], str(error))
            return self.take()

    def keep_held(self) -> bool:
        """Forget paused runs that were stopped or deleted; whether any is left."""
        rows = self.store.database.read("SELECT id FROM runs WHERE status IN ('paused', 'queued')")
        there = {row["id"] for row in rows}
        self.held = {run_id: session for run_id, session in self.held.items() if run_id in there}
        return bool(self.held)

    def drive(self, run: Run) -> None:
        """One run, until it is over or held."""
        session = self.held.pop(run.id, None)
        log = session.log if session else RunLog(self.store, run)
        stepping = run.requested_state == "pause"
        try:
            if session is None:
                session = Session.open(log, self.events)
                log.begun(session.next_round[0] - 1)
            elif not stepping:
                log.note("resumed")
            outcome = session.go_on(self.leaving.is_set)
        except Exception as error:  # whatever goes wrong in a run ends that run, not the queue
            log.failed(error)
            self.spoilt = self.device.type == "cuda"  # an error on the device may outlast the run that caused it
            return
        if outcome != "held":
            log.state(outcome)
        elif log.hold(stepping) != "stopped":
            self.held[run.id] = session


def meaning(device: torch.device) -> list[str]:
    """The values of ``spec.device`` that come to this device here."""
    names = []
    for name in EVERY_DEVICE:
        with contextlib.suppress(ValueError):
            if pick_device(name).type == device.type:
                names.append(name)
    return names


def claim(store: RunStore, requested: str, device: torch.device) -> FileLock | None:
    """The device's lock, or None where another worker has it: that one looks at the line again before it goes."""
    with gate(store.runs_dir):
        lock = take_device(store.runs_dir, device.type)
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
            if lock is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO workers VALUES (?, ?)", (device.type, json.dumps(meaning(device)))
                )
                interrupt(connection, device.type)
        return lock


def work(
    runs_dir: Path, requested: str = "auto", events: Events = run_events, leaving: threading.Event | None = None
) -> None:
    """Run what is queued for a device; returns at once where another worker has it.

    ``leaving``, once set, ends the work after the round: the run is interrupted, and can be resumed.
    """
    store = RunStore(runs_dir)
    try:
        device = pick_device(requested)
    except ValueError as error:
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested_device = ?", (requested,))
            fail_queued(connection, requested, str(error))
        return
    lock = claim(store, requested, device)
    if lock is None:
        return
    worker = Worker(store, device, lock, events, leaving or threading.Event())
    try:
        worker.drain()
    finally:
        lock.release()
    if worker.spoilt:
        ensure_worker(store.runs_dir)


def serve(runs_dir: Path, requested: str) -> None:
    """``work`` as a process's only job: SIGTERM and Ctrl-C end it after the round."""
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    work(runs_dir, requested, leaving=leaving)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--device", choices=EVERY_DEVICE, default="auto")
    arguments = parser.parse_args()
    serve(arguments.runs_dir, arguments.device)


if __name__ == "__main__":
    main()
