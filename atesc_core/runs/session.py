"""TODO: what this module is."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from atesc_core.distillation.events import Event, SnapshotTaken, ThresholdChanged
from atesc_core.distillation.loop import Controls
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.files import atomic_write
from atesc_core.runs.log import Asked, RunLog
from atesc_core.runs.run import DistillationRun, Run
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.students.files import save_student
from atesc_core.training.events import CheckpointReady, EpochDone, StepDone

IDLE_S = 0.05  # while only paused runs are left, and in slow motion until the next turn is due
Events = Callable[[Run, Path, Controls, dict[str, Any] | None], Iterator[Event]]


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
        elif log.run.first_epoch > 1:
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
        self.controls.trace = asked.turn_s is not None and isinstance(self.log.run, DistillationRun)
        self.note_speed(asked)
        told, self.told = self.told, self.told and done is None
        if asked.wanted == "pause" and asked.steps:  # single rounds or turns
            stepped = done is not None and (told if self.controls.trace else done == "round")
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
                return "turn" if event.number < event.turn_count else None
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
                if isinstance(self.log.run, DistillationRun):
                    save_student(self.log.store, self.log.run, event.epoch, event.state["student"])
                with atomic_write(self.log.checkpoint_file) as file:
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
