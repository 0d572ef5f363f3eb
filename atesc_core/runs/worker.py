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
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock

from atesc_core.device import describe, pick_device
from atesc_core.distillation.loop import Controls, distill
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.domains import load_pair
from atesc_core.files import replacing
from atesc_core.runs.database import StoreError
from atesc_core.runs.launcher import ensure_worker, fail, fail_queued
from atesc_core.runs.locks import gate, take_device
from atesc_core.runs.log import Asked, RunLog
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import Makes, Run, RunStore, interrupt
from atesc_core.runs.students import files
from atesc_core.teachers import load_teacher
from atesc_core.teachers.recipes import train_own
from atesc_core.training.evaluation import Evaluator
from atesc_core.training.events import CheckpointReady, EpochDone, Event, SnapshotTaken, StepDone, ThresholdChanged

IDLE_S = 0.05  # while only paused runs are left, and in slow motion until the next turn is due
EVERY_DEVICE = ("auto", "cpu", "cuda", "mps")

Events = Callable[[Run, Path, Controls, dict[str, Any] | None], Iterator[Event]]


def distilled(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    """The run's events, with its student measured on its teacher's pair."""
    teacher = load_teacher(run.spec.teacher, runs_dir)
    evaluate = Evaluator(load_pair(teacher.card.pair, teacher.card.image_side), pick_device(run.spec.device))
    return distill(run.spec, teacher, evaluate, controls, resume, until=run.epochs)


def trained(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    """The run's events, at whose end its teacher joins those under ``runs_dir``. Nothing in it has a threshold."""
    return train_own(run.spec, runs_dir, resume)


EVENTS: dict[Makes, Events] = {"student": distilled, "teacher": trained}


def events_of(run: Run, runs_dir: Path, controls: Controls, resume: dict[str, Any] | None) -> Iterator[Event]:
    return EVENTS[run.makes](run, runs_dir, controls, resume)


@dataclass
class Session:
    """A run in this process: its generator of events, and what is to be changed in it."""

    log: RunLog
    controls: Controls
    events: Iterator[Event]
    again: list[tuple[int, int, float]]  # thresholds of an earlier pass, to be set at the same (epoch, round)
    next_round: tuple[int, int]
    mid_round: bool = False  # between two turns
    told: bool = False  # of a turn, since the last look: a round that was begun before anybody looked has none
    taken: float | None = None  # a threshold asked for, given to the loop, not yet in a logged round
    taken_for: tuple[int, int] = (0, 0)  # that it is to be in, at first
    turn_s: float | None = None  # as asked for; see Asked

    @classmethod
    def open(cls, log: RunLog, events: Events) -> Session:
        """At the run's last checkpoint, or at its beginning.

        Raises ValueError where the checkpoint cannot be read, or is gone from a run that began with one.
        """
        controls, epoch, state = Controls(), 0, None
        if log.checkpoint_file.exists():
            epoch, state = load_checkpoint(log.checkpoint_file)
            log.keep_point(epoch)
        elif log.run.fork and log.run.fork.epoch:
            raise ValueError(
                f"checkpoint: {log.checkpoint_file} is gone; run {log.run.id} parted from another with it "
                "and cannot begin without it; start another try"
            )
        again = log.rewind(epoch)
        return cls(log, controls, events(log.run, log.store.runs_dir, controls, state), again, (epoch + 1, 1))

    def go_on(self, leaving: Callable[[], bool]) -> str:
        """Ask for events until the run is done, or the user or ``leaving`` wants otherwise.

        Returns done, held (the user wants it to pause or stop) or interrupted. Raises what the run raises.
        """
        held = self.look()
        while not held:
            self.set_again()
            event = next(self.events, None)
            if event is None:
                return "done"
            self.write(event)
            done = self.done_with(event)
            if done is not None:
                held = not leaving() and (self.look(done) or self.wait_for_turn(leaving))
                if leaving():
                    return "interrupted"
        return "held"

    def look(self, done: Literal["round", "turn"] | None = None) -> bool:
        """Read what the user asks; true where the run is to stand still. ``done``: since the last look."""
        asked = self.log.asked()
        if asked.threshold is not None:
            if asked.threshold != self.taken:
                self.taken_for = self.next_round[0], self.next_round[1] + self.mid_round
            self.controls.threshold = self.taken = asked.threshold
            if self.again:
                self.again.clear()
                self.log.forget_thresholds(self.taken_for)
        self.controls.closely = asked.turn_s is not None and self.log.run.makes == "student"
        self.note_speed(asked)
        told, self.told = self.told, self.told and done is None
        if asked.wanted == "pause" and asked.steps:  # single rounds or turns
            stepped = done is not None and (told if self.controls.closely else done == "round")
            if stepped:
                self.log.took_step()
            return stepped and asked.steps == 1
        return asked.wanted != "run"

    def note_speed(self, asked: Asked) -> None:
        """Slow motion begins, changes its pace, or ends while the run goes on."""
        if asked.wanted == "run" and asked.turn_s and asked.turn_s != self.turn_s:
            self.log.note("slow", asked.turn_s)
        elif asked.wanted == "run" and self.turn_s and not asked.turn_s:
            self.log.note("resumed")
        self.turn_s = asked.turn_s if asked.wanted == "run" else None

    def wait_for_turn(self, leaving: Callable[[], bool]) -> bool:
        """In slow motion until the next turn is due, or something else is asked; as ``look``."""
        turned = time.monotonic()
        while self.turn_s and time.monotonic() < turned + self.turn_s and not leaving():
            time.sleep(IDLE_S)
            if self.look():
                return True
        return False

    def set_again(self) -> None:
        while self.again and self.again[0][:2] <= self.next_round:
            self.controls.threshold = self.again.pop(0)[2]

    def done_with(self, event: Event) -> Literal["round", "turn"] | None:
        """What this event ends, where the run can stand still after it: not between an epoch's last round and its
        checkpoint, nor between a round's last turn and its event."""
        match event:
            case GeneratorTurn():
                return "turn"
            case StudentTurn():
                return "turn" if event.number < event.of else None
            case StepDone():
                return "round" if event.round < self.log.run.rounds else None
            case CheckpointReady():
                return "round"
        return None

    def write(self, event: Event) -> None:
        match event:
            case StepDone():
                self.log.step(
                    event.epoch, event.round, event.images, event.losses, event.fragile_share, event.threshold
                )
                last = event.round == self.log.run.rounds
                self.next_round = (event.epoch + 1, 1) if last else (event.epoch, event.round + 1)
                self.mid_round = False
                if self.taken is not None and (event.epoch, event.round) >= self.taken_for:
                    self.log.took_threshold(self.taken)
                    self.taken = None
            case GeneratorTurn() | StudentTurn():
                self.log.turn(event)
                self.mid_round = self.told = True
            case ThresholdChanged():
                self.log.threshold(event.epoch, event.round, event.threshold, event.by)
            case EpochDone():
                self.log.epoch(event.epoch, event.images, event.metrics)
            case SnapshotTaken():
                self.log.snapshot(as_arrays(event))
            case CheckpointReady():
                if "student" in event.state:  # not in a teacher's training
                    files.keep(self.log.store, self.log.run, event.epoch, event.state["student"])
                with replacing(self.log.checkpoint_file) as file:
                    torch.save({"epoch": event.epoch, "state": event.state}, file)
                self.log.keep_point(event.epoch)


def load_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """Its epoch, and the state at its end. Raises ValueError."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return saved["epoch"], saved["state"]
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"checkpoint: {path} cannot be read ({error}); the run's epochs and images are kept, but it "
            "cannot go on from there"
        ) from error


def as_arrays(event: SnapshotTaken) -> Snapshot:
    return Snapshot(
        event.epoch,
        event.images.numpy(),
        event.teacher_probs.numpy(),
        event.student_probs.numpy(),
        event.features.numpy(),
        {name: values.numpy() for name, values in event.scores.items()},
        event.fragile.numpy(),
        event.threshold,
    )


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
            "SELECT id FROM runs WHERE status = 'queued' AND requested IN (SELECT value FROM json_each(?)) "
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
                "kind = ?, device = ? WHERE id = ?",
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
        stepping = run.wanted == "pause"
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
            connection.execute("DELETE FROM starting WHERE requested = ?", (requested,))
            if lock is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO workers VALUES (?, ?)", (device.type, json.dumps(meaning(device)))
                )
                interrupt(connection, device.type)
        return lock


def work(
    runs_dir: Path, requested: str = "auto", events: Events = events_of, leaving: threading.Event | None = None
) -> None:
    """Run what is queued for a device; returns at once where another worker has it.

    ``leaving``, once set, ends the work after the round: the run is interrupted, and can be resumed.
    """
    store = RunStore(runs_dir)
    try:
        device = pick_device(requested)
    except ValueError as error:
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting WHERE requested = ?", (requested,))
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
