"""What the loop says while it runs. Whoever drives it (worker, CLI, notebook, test) sees these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepDone:
    """One round: the generator's steps, then the student's; or some steps of a teacher's training. Losses are the
    round's means."""

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    images: int  # that the student, or the teacher in training, has seen so far in the run
    losses: dict[str, float]  # generator terms "g/bn" ...; student terms "s/fragile" ...; teacher terms "t/id" ...
    fragile_share: float | None  # of the round's images, 0..1; None while nothing is split
    threshold: float | None  # the split's threshold in force; None while nothing is split


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over. ``metrics`` holds percentages: ``iacc``, and ``oacc``, ``olacc`` or ``asr``."""

    epoch: int
    images: int
    metrics: dict[str, float]  # empty where the run has no real data to be measured on


@dataclass(frozen=True)
class CheckpointReady:
    """Everything needed to go on from the end of ``epoch``; tensors and plain values only.

    The tensors are the live ones: save them before asking for the next event.
    """

    epoch: int
    state: dict[str, Any]
