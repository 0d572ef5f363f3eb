"""A run in its current state: the distillation of a student, or the training of a teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import TeacherSpec

Status = Literal["queued", "running", "paused", "done", "stopped", "interrupted", "failed"]
RequestedState = Literal["run", "pause", "stop"]


@dataclass(frozen=True)
class Fork:
    """Where a run branched off another run of the same spec.

    The new run continues from that run's checkpoint with another threshold.
    """

    parent: str  # id of the other run, which may have been deleted since
    epoch: int  # the checkpoint is from the end of this epoch; 0: the start
    threshold: float  # applied, like one set by hand, in the first round after the checkpoint that splits
    old: str | None = (
        None  # id of the run to compare with: another fork or the parent; None for the fork that is compared with
    )
    old_threshold: float | None = None  # threshold of that run


@dataclass(frozen=True)
class ClassRecalls:
    """The recall of each ID class at the end of an epoch."""

    epoch: int
    by_label: tuple[float | None, ...]  # per cent; None for a class without test images
    trap_label: int | None  # the label that the teacher gives most OOD images; None: not known

    @property
    def of_trap_label(self) -> float | None:
        """Recall of the trap label's own class, in per cent."""
        return None if self.trap_label is None else self.by_label[self.trap_label]


@dataclass(frozen=True, kw_only=True)
class Run(ABC):
    """The current state of a run. Times are unix seconds."""

    id: str
    spec: RunSpec | TeacherSpec
    label: str | None  # its name; None if it has none
    note: str | None = None  # what its users wrote about it
    tags: tuple[str, ...] = ()
    group: str | None
    status: Status
    requested_state: RequestedState  # the user's request, which the worker follows within a round
    steps_left: int  # single rounds, or turns, still to be done before it pauses
    seconds_per_turn: float | None  # in slow motion; 0: turn by turn; None: whole rounds
    pending_threshold: float | None  # set by the user, not yet applied by the worker; None: nothing to apply
    device: str | None  # description of the device; None until a worker has taken the run
    # what its numbers depend on beside its spec, see `device.build`; empty until a worker has taken it
    build: dict[str, str] = field(default_factory=dict)
    created: float
    started: float | None
    finished: float | None  # done, stopped or failed
    epoch: int  # of the last logged event, from 1; 0 before the first
    round: int  # of the last logged event, from 1
    epochs: int
    rounds: int  # per epoch
    images: int  # that the student, or the teacher in training, was trained on
    images_per_s: float | None  # over the last seconds, while running
    eta_s: float | None  # to the run's end, while running
    error: str | None
    queue_position: int | None  # 1 is next; 0: it waits for a node of Ray; None if the run is not queued
    metrics: dict[str, float]  # of the last finished epoch, in per cent; empty before the first
    measured_epoch: int  # that last finished epoch, from 1; 0 before the first

    @property
    @abstractmethod
    def teacher(self) -> str:
        """Name of the teacher that the student learns from, or that is trained."""

    @property
    def first_epoch(self) -> int:
        """The first epoch that the run computes itself, from 1."""
        return 1

    @property
    def progress(self) -> float:
        """Share of its rounds that are done, 0..1; of a fork, without those of its parent."""
        done = (self.epoch - self.first_epoch) * self.rounds + self.round
        return max(0, done) / ((self.epochs - self.first_epoch + 1) * self.rounds)

    @property
    def in_slow_motion(self) -> bool:
        """Whether it runs in slow motion, or will once it has the device."""
        return self.active and self.requested_state == "run" and bool(self.seconds_per_turn)

    @property
    def stepping(self) -> bool:
        """Whether it does single rounds or turns and then pauses."""
        return self.active and self.requested_state == "pause" and self.steps_left > 0

    def matches(self, text: str) -> bool:
        """Whether each word of ``text`` is in its name, note, tags, teacher, id or group, in either case."""
        words = [self.label, self.note, *self.tags, self.teacher, self.id, self.group]
        searched = "\n".join(filter(None, words)).casefold()
        return all(word in searched for word in text.casefold().split())

    @property
    def active(self) -> bool:
        """Whether it may change without a request of the user."""
        return self.status in ("queued", "running")


def build_text(build: dict[str, str]) -> str:
    """What a run was computed with, as text: ``PyTorch 2.14.1+cpu, x86_64 AVX512``, and the device, unless a CPU."""
    texts = [f"PyTorch {build.get('PyTorch', 'unknown')}", build.get("processor", "processor unknown")]
    return ", ".join(texts if build.get("device", "CPU") == "CPU" else [*texts, build["device"]])


@dataclass(frozen=True, kw_only=True)
class DistillationRun(Run):
    """A run that distils a student from a teacher."""

    spec: RunSpec
    fork: Fork | None = None  # None if it did not branch off another run

    @property
    def teacher(self) -> str:
        """Name of the teacher that the student learns from."""
        return self.spec.teacher

    @property
    def first_epoch(self) -> int:
        """The first epoch that the run computes itself, from 1; of a fork, the epoch after its checkpoint."""
        return self.fork.epoch + 1 if self.fork else 1


@dataclass(frozen=True, kw_only=True)
class TrainingRun(Run):
    """A run that trains a new teacher."""

    spec: TeacherSpec

    @property
    def teacher(self) -> str:
        """Name of the teacher that is trained."""
        return self.spec.name


AnyRun = TypeVar("AnyRun", bound=Run)  # for functions that return the same kind of run as they get
