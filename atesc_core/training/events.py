"""Events that the training of a student and of a teacher yield while they run.

They are for whoever drives it: the worker, the command line, a notebook, a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepDone:
    """One round is done: the generator's steps, then the student's; or one part of an epoch of a teacher's training.

    Losses are means over the round.
    """

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    images: int  # that the student, or the teacher in training, has learned from so far in the run
    losses: dict[str, float]  # generator terms "g/bn" ...; student terms "s/fragile" ...; teacher terms "t/id" ...
    fragile_share: float | None  # of the round's images, 0..1; None while nothing is split
    threshold: float | None  # the split's threshold in force; None while nothing is split


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over, and the network was measured on test images."""

    epoch: int  # from 1
    images: int  # as in StepDone
    metrics: dict[str, float]  # per cent: iacc, and oacc, olacc or asr; empty without real data to measure on


@dataclass(frozen=True)
class CheckpointReady:
    """Everything needed to go on from the end of ``epoch``: tensors and plain values only.

    The tensors are the live ones: save them before asking for the next event.
    """

    epoch: int
    state: dict[str, Any]


TrainingEvent = StepDone | EpochDone | CheckpointReady
