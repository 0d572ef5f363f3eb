"""A process that computes runs from the queue: ``python -m atesc_core.runs.worker --runs-dir D``.

A worker takes a run from the queue when as many slots of the device are free as the run has threads, and holds these
while it computes. It exits when there is nothing for it to do; with ``--stay`` it waits for more. Several workers serve
a device with several slots. A run is a generator of events, from the distillation loop or from a teacher's training.
The worker stores each event, and between rounds (or turns, if these are traced) it reads the user's requests. To pause
a run, the worker stops reading its generator and gives its slots back; it keeps the run until that goes on, ends or is
deleted, and other workers take the runs that wait.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock

from atesc_core.device import build, describe, pick_device, processor, slots, use_processor, use_threads
from atesc_core.distillation.events import Event
from atesc_core.distillation.loop import Controls, distill
from atesc_core.domains.loading import load_pair
from atesc_core.errors import StoreError
from atesc_core.runs.database import WORKER_PATIENCE_S
from atesc_core.runs.launcher import ensure_worker, fail, fail_queued, forget_starts
from atesc_core.runs.locks import gate, is_taken, take_slots, take_worker, worker_lock
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import DistillationRun, Run, TrainingRun
from atesc_core.runs.session import Events, Session
from atesc_core.runs.store import THREADS, RunStore, interrupt
from atesc_core.runs.turn_control import POLL_S
from atesc_core.teachers.training import train_own
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator

EVERY_DEVICE = ("auto", "cpu", "cuda", "mps")
IDLE_S = 1.0  # between two reads of the queue, with ``--stay``
IN_GATE_S = 1.0  # that a worker waits for the database while it holds the gate
OTHERS_S, BETWEEN_ROUNDS_S = 5.0, 60.0  # between two looks for runs that lack a worker: without a run, and with one
Result = TypeVar("Result")


def run_events(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    """The events of the distillation loop, or of a teacher's training.

    A student is measured on its teacher's pair. A trained teacher is saved under ``runs_dir`` at the end.
    """
    use_threads(run.spec.threads)
    if isinstance(run, TrainingRun):
        return train_own(run.spec, runs_dir, resume)
    assert isinstance(run, DistillationRun)
    teacher = load_teacher(run.spec.teacher, runs_dir)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    evaluate = Evaluator(data, pick_device(run.spec.device), teacher=teacher.model)
    return distill(run.spec, teacher, evaluate, controls, resume, until=run.epochs)


class Worker:
    """Computes one run after the other; call ``drain`` while holding ``lock``, which is freed at the end."""

    def __init__(
        self,
        store: RunStore,
        device: torch.device,
        number: int,
        lock: FileLock,
        events: Events,
        leaving: threading.Event,
        stay: bool = False,
        start_others: Callable[[Path], None] | None = None,
    ):
        """Setting ``leaving`` ends the work after the current round. The other arguments are those of `work`."""
        self.store, self.device, self.number, self.lock = store, device, number, lock
        self.events, self.leaving, self.stay, self.start_others = events, leaving, stay, start_others
        self.serves = device_names(device)
        self.slots = slots(device)
        self.taken: dict[str, FileLock] = {}  # its slots, while it computes, and their locks
        self.processor = ""  # of its slots
        self.paused: Session | None = None
        self.device_failed = False
        self.ended = False  # its lock is free
        self.others_started = -math.inf  # when it last started other workers, by time.monotonic

    def drain(self) -> None:
        """Work until there is nothing to do, or, with ``stay``, until ``leaving`` is set."""
        while not (self.leaving.is_set() or self.device_failed) and self.store.exists():
            if self.keeps_paused_run():
                self.let_others_start(OTHERS_S)
                time.sleep(POLL_S)
                continue
            run_id = patiently(self.store, self.take_or_end)
            if self.ended:
                return
            if run_id is None:
                self.let_others_start(OTHERS_S)
                time.sleep(POLL_S if self.paused else IDLE_S)
            elif (run := self.load(run_id)) is not None:
                self.let_others_start()
                self.drive(run)
                if self.paused is not None:
                    self.release_slots()
                    self.let_others_start()

    def take_or_end(self) -> str | None:
        """The id of the run that it takes. Without one it ends, unless it keeps a paused run or is to stay."""
        with gate(self.store.runs_dir, WORKER_PATIENCE_S):
            self.release_slots()
            run_id = self.take_next()
            if run_id is None and self.paused is None and not self.stay:
                self.lock.release()  # a run that is queued after this block finds no worker
                self.ended = True
            return run_id

    def keeps_paused_run(self) -> bool:
        """Whether its paused run pauses, or waits behind others. Drops one that was stopped, deleted or taken away."""
        if self.paused is None:
            return False
        rows = self.store.database.read(
            "SELECT status FROM runs WHERE id = ? AND worker = ? AND status IN ('paused', 'queued')",
            self.paused.log.run.id,
            self.number,
        )
        if not rows:
            self.paused = None
            return False
        head = self.next_queued()
        return rows[0]["status"] == "paused" or head is None or head["id"] != self.paused.log.run.id

    def let_others_start(self, every_s: float = 0.0) -> None:
        """Start workers for runs that wait while slots are free; nothing if it was done less than ``every_s`` ago."""
        if self.start_others and time.monotonic() >= self.others_started + every_s:
            self.others_started = time.monotonic()
            with contextlib.suppress(StoreError):  # it is tried again
                self.start_others(self.store.runs_dir)

    def is_to_leave(self) -> bool:
        """Whether it is to leave its run after this round. Now and then it also looks after those that wait."""
        self.let_others_start(BETWEEN_ROUNDS_S)
        return self.leaving.is_set() or not self.store.exists()

    def next_queued(self) -> sqlite3.Row | None:
        """Id, threads and worker of the first of the queue; None if the queue is empty."""
        rows = self.store.database.read(
            f"SELECT id, worker, {THREADS} AS threads FROM runs "
            "WHERE status = 'queued' AND requested_device IN (SELECT value FROM json_each(?)) "
            "ORDER BY queued, rowid LIMIT 1",
            json.dumps(self.serves),
        )
        return rows[0] if rows else None

    def release_slots(self) -> None:
        """Give its slots back."""
        for lock in self.taken.values():
            lock.release()
        self.taken = {}

    def take_next(self) -> str | None:
        """Mark the next run of the queue as running, on slots of its own, and return its id. Call it in the gate.

        None if there is none for this worker, or too few slots are free. The first of the queue is for the worker that
        paused it, if that lives; else for any that keeps no other run.
        """
        while (row := self.next_queued()) is not None:
            if self.paused is not None and self.paused.log.run.id != row["id"]:
                return None
            if row["worker"] not in (None, self.number) and is_taken(self.store.runs_dir, worker_lock(row["worker"])):
                return None
            # A paused run goes on where its tensors are.
            names = [name for name in self.slots if self.paused is None or processor(name) == self.processor]
            wanted = min(row["threads"], len(names)) if self.device.type == "cpu" else 1
            self.taken = take_slots(self.store.runs_dir, names, wanted)
            if not self.taken:
                return None
            self.processor = processor(next(iter(self.taken)))
            with self.store.database.write(patience_s=IN_GATE_S) as connection:
                taken = connection.execute(
                    "UPDATE runs SET status = 'running', started = coalesce(started, ?), finished = NULL, "
                    "error = NULL, worker = ? WHERE id = ? AND status = 'queued'",
                    (time.time(), self.number, row["id"]),
                ).rowcount
            if taken:
                return str(row["id"])
            self.release_slots()  # it was stopped, paused or deleted just now
        return None

    def load(self, run_id: str) -> Run | None:
        """The run that it has taken; None, and the run fails, if another version queued it."""
        try:
            return self.store.get(run_id)
        except StoreError as error:  # it must not block the queue
            with self.store.database.write() as connection:
                fail(connection, run_id, str(error))
            return None

    def note_device(self, run: Run) -> None:
        """Note on which device, and with which build of PyTorch, it computes the run."""
        values = (describe(self.device).summary, json.dumps(build(self.device)), run.id)
        with self.store.database.write() as connection:
            connection.execute("UPDATE runs SET device = ?, build = ? WHERE id = ?", values)

    def drive(self, run: Run) -> None:
        """Run or continue a run until it is over or the user halts it."""
        session, self.paused = self.paused, None
        log = session.log if session else RunLog(self.store, run)
        stepping = run.requested_state == "pause"
        try:
            use_processor(self.processor)
            self.note_device(run)
            if session is None:
                session = Session.open(log, self.events)
                log.note_start(session.next_round[0] - 1)
            elif not stepping:
                log.note("resumed")
            outcome = session.go_on(self.is_to_leave)
        except Exception as error:  # any error ends this run, but not the queue
            if not self.store.exists():  # somebody has deleted the runs folder
                self.leaving.set()
                return
            log.fail(error)
            # A CUDA error, of which some are plain RuntimeErrors, can break the whole process, not only this run.
            is_of_cuda = isinstance(error, RuntimeError) and not isinstance(error, StoreError)
            self.device_failed = self.device.type == "cuda" and is_of_cuda
            return
        finally:
            if self.device.type == "cuda":
                torch.cuda.empty_cache()  # other workers need what it does not use
        if not self.store.exists():
            self.leaving.set()
        elif outcome != "halted":
            log.end(outcome)
        elif log.halt(stepping) != "stopped":
            self.paused = session


def device_names(device: torch.device) -> list[str]:
    """The values of ``spec.device`` that mean this device on this machine."""
    names = []
    for name in EVERY_DEVICE:
        with contextlib.suppress(ValueError):
            if pick_device(name).type == device.type:
                names.append(name)
    return names


def patiently(store: RunStore, action: Callable[[], Result]) -> Result:
    """The result of an action in the gate, which is tried again while another program holds the database.

    The gate is free meanwhile: pages and other workers need it.
    """
    end = time.monotonic() + WORKER_PATIENCE_S
    while True:
        try:
            return action()
        except StoreError:
            if time.monotonic() >= end or not store.exists():
                raise
            time.sleep(IDLE_S)


def report(store: RunStore, requested: str, device: torch.device) -> tuple[int, FileLock]:
    """Note that a worker for ``requested`` has started. Returns its number and its lock."""
    with gate(store.runs_dir, WORKER_PATIENCE_S):
        number, lock = take_worker(store.runs_dir)
        with store.database.write(patience_s=IN_GATE_S) as connection:
            forget_starts(connection, requested)
            values = (device.type, json.dumps(device_names(device)), json.dumps(slots(device)))
            connection.execute("INSERT OR REPLACE INTO devices VALUES (?, ?, ?)", values)
            connection.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (number, device.type))
            interrupt(connection, number)  # runs of the last one of this number
        return number, lock


def work(
    runs_dir: Path,
    requested: str = "auto",
    events: Events = run_events,
    leaving: threading.Event | None = None,
    stay: bool = False,
    start_others: Callable[[Path], None] | None = None,
) -> None:
    """Compute what is queued for a device, as long as it has free slots.

    Args:
        runs_dir: the folder of the runs.
        requested: the device.
        events: makes the events of a run.
        leaving: setting it ends the work after the current round: the run is interrupted and can be resumed.
        stay: wait for more when there is nothing to do.
        start_others: called with the folder when other runs may wait for slots that are free, to start workers.

    Raises:
        StoreError: the device failed while the worker was to stay; it can be started again.
    """
    store, leaving = RunStore(runs_dir, patience_s=WORKER_PATIENCE_S), leaving or threading.Event()
    try:
        device = pick_device(requested)
        describe(device)
    except (ValueError, RuntimeError) as error:  # RuntimeError: it is there, and does not work
        with store.database.write() as connection:
            forget_starts(connection, requested)
            fail_queued(connection, requested, str(error))
        return
    number, lock = patiently(store, lambda: report(store, requested, device))
    worker = Worker(store, device, number, lock, events, leaving, stay, start_others)
    try:
        worker.drain()
    finally:
        worker.release_slots()
        lock.release()
        if not (leaving.is_set() or stay):
            worker.let_others_start()
    if worker.device_failed and stay:
        raise StoreError(f"device: {describe(device).summary} failed in this process; start the worker again")


def serve(runs_dir: Path, requested: str, stay: bool = False) -> None:
    """Call ``work`` in a process of its own, which SIGTERM and Ctrl-C end after the current round."""
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    work(runs_dir, requested, leaving=leaving, stay=stay, start_others=ensure_worker)


def main() -> None:
    """Serve the device that the command line names."""
    parser = argparse.ArgumentParser(description="Run what is queued for one device.")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--device", choices=EVERY_DEVICE, default="auto")
    arguments = parser.parse_args()
    serve(arguments.runs_dir, arguments.device)


if __name__ == "__main__":
    main()
