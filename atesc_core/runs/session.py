"""A run in this process: take its next event, store the event, obey the user's requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from atesc_core.distillation.events import Event, LabelTried, SnapshotTaken, ThresholdChanged, TrapSought
from atesc_core.distillation.loop import Controls
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.files import atomic_write, check_archive
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import DistillationRun, Run
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.students.files import save_student
from atesc_core.runs.turn_control import Boundary, TurnControl
from atesc_core.training.events import CheckpointReady, EpochDone, RoundDone

Events = Callable[[Run, Path, Controls, dict[str, Any] | None], Iterator[Event]]
Outcome = Literal["done", "halted", "interrupted"]


@dataclass
class Session:
    """A run's generator of events, its controls, and the threshold changes to apply."""

    log: RunLog
    controls: Controls
    events: Iterator[Event]
    replay: list[tuple[int, int, float]]  # thresholds of an earlier pass, to be set at the same (epoch, round)
    next_round: tuple[int, int]  # (epoch, round) of the round that is not yet logged
    turns: TurnControl = field(init=False)
    _threshold: float | None = None  # passed to the loop, but not yet used by a logged round
    _threshold_from: tuple[int, int] = (0, 0)  # the first round that will use it

    def __post_init__(self) -> None:
        self.turns = TurnControl(self.log, self.controls)

    @classmethod
    def open(cls, log: RunLog, events: Events) -> Session:
        """Start the run from its last checkpoint, or from its beginning.

        Raises ValueError if the checkpoint cannot be read, or if that of a fork is missing.
        """
        controls, epoch, state = Controls(), 0, None
        if log.checkpoint_file.exists():
            epoch, state = load_checkpoint(log.checkpoint_file)
            log.keep_fork_point(epoch)
        elif log.run.first_epoch > 1:
            raise ValueError(
                f"checkpoint: {log.checkpoint_file} is gone; run {log.run.id} branched off another one with it "
                "and cannot begin without it; start another try"
            )
        replay = log.rewind(epoch)
        return cls(log, controls, events(log.run, log.store.runs_dir, controls, state), replay, (epoch + 1, 1))

    def go_on(self, leaving: Callable[[], bool]) -> Outcome:
        """Take events until the run is done, the user requests a pause or stop, or ``leaving()`` is true.

        Returns:
            "done", "halted" (pause or stop) or "interrupted" (``leaving``).

        Raises every error of the run.
        """
        halt = self.obey_requests()
        while not halt:
            self._replay_thresholds()
            event = next(self.events, None)
            if event is None:
                return "done"
            ended = self.write(event)
            if isinstance(event, LabelTried):
                halt = not leaving() and self.obey_requests()
                if leaving():
                    return "interrupted"
            elif ended is not None:
                halt = not leaving() and (
                    self.obey_requests(ended) or self.turns.wait_for_next_turn(leaving, self.obey_requests)
                )
                if leaving():
                    return "interrupted"
        return "halted"

    def obey_requests(self, ended: Boundary | None = None) -> bool:
        """Read the user's requests and follow them. Returns true if the run must pause or stop.

        Args:
            ended: whether a round or a turn has ended since requests were last read.
        """
        request = self.log.read_request()
        if request.threshold is not None:
            if request.threshold != self._threshold:
                self._threshold_from = self.next_round[0], self.next_round[1] + self.turns.mid_round
            self.controls.threshold = self._threshold = request.threshold
            if self.replay:
                self.replay.clear()
                self.log.delete_thresholds(self._threshold_from)
        return self.turns.obey(request, ended)

    def write(self, event: Event) -> Boundary | None:
        """Store the event. Returns what it ends if the run can pause after it, else None."""
        run = self.log.run
        self.turns.expect(event)
        match event:
            case RoundDone():
                self.log.write_round(
                    event.epoch, event.round, event.images, event.losses, event.fragile_share, event.threshold
                )
                last = event.round == run.rounds
                self.next_round = (event.epoch + 1, 1) if last else (event.epoch, event.round + 1)
                if self._threshold is not None and (event.epoch, event.round) >= self._threshold_from:
                    self.log.threshold_applied(self._threshold)
                    self._threshold = None
            case GeneratorTurn() | StudentTurn():
                self.log.write_turn(event)
            case ThresholdChanged():
                self.log.write_threshold(event.epoch, event.round, event.threshold, event.by)
            case LabelTried():
                if event.step == 0:
                    self.log.note("trap", None, f"noise leaves several labels: label {event.label} is tried")
            case TrapSought():
                self.log.note("trap", event.evidence.label if event.evidence.is_trap else None, event.evidence.sentence)
            case EpochDone():
                self.log.write_epoch(event.epoch, event.images, event.metrics, event.recalls, event.trap_label)
            case SnapshotTaken():
                self.log.write_snapshot(as_snapshot(event))
            case CheckpointReady():
                if isinstance(run, DistillationRun) and "student" in event.state:
                    save_student(self.log.store, run, event.epoch, event.state["student"])
                with atomic_write(self.log.checkpoint_file) as file:
                    torch.save({"epoch": event.epoch, "state": event.state}, file)
                self.log.keep_fork_point(event.epoch)
        return self.turns.follow(event)

    def _replay_thresholds(self) -> None:
        while self.replay and self.replay[0][:2] <= self.next_round:
            self.controls.threshold = self.replay.pop(0)[2]


def load_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """Epoch of a checkpoint, and the state at the end of that epoch. Raises ValueError if it cannot be read."""
    try:
        check_archive(path)  # PyTorch compares no checksums: a flipped bit would be a weight of the student
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return saved["epoch"], saved["state"]
    except Exception as error:  # on a damaged file, zipfile, zlib, pickle and PyTorch raise many types of errors
        cause = str(error) if isinstance(error, (OSError, MemoryError)) else f"it is damaged: {error}"
        raise ValueError(
            f"checkpoint: {path} cannot be read ({cause}); the run's epochs and images are kept, but it "
            "cannot go on from there"
        ) from error


def as_snapshot(event: SnapshotTaken) -> Snapshot:
    """The event's tensors as arrays."""
    return Snapshot(
        event.epoch,
        event.images.numpy(),
        event.teacher_probs.numpy(),
        event.student_probs.numpy(),
        event.features.numpy(),
        event.batchnorm.numpy(),
        {name: values.numpy() for name, values in event.scores.items()},
        event.fragile.numpy(),
        event.threshold,
    )
