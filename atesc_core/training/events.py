"""Events that the training of a student and of a teacher yield.

The worker, the command line, a notebook or a test reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class RoundDone:
    """One round is done: the generator's steps, then the student's; or one part of an epoch of a teacher's training.

    Losses are means over the round.
    """

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    images: int  # number of images that the student, or the teacher in training, has learned from
    losses: dict[str, float]  # generator terms "g/bn" ...; student terms "s/fragile" ...; teacher terms "t/id" ...
    fragile_share: float | None  # of the round's images, 0..1; None in rounds without a split
    threshold: float | None  # threshold of the split; None in rounds without a split


class Measured(NamedTuple):
    """What an `Evaluator` measured."""

    metrics: dict[str, float]  # per cent, the names in vocabulary.METRIC_NAMES and COST_NAMES that apply
    recalls: tuple[float | None, ...]  # per cent of each class' ID images that are right, by label; None: no images
    trap_label: int | None  # the label that the teacher gives most OOD images; None: not known


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over, and the network was measured: a student on test, a teacher in training on validation images."""

    epoch: int  # from 1
    images: int  # as in RoundDone
    metrics: dict[str, float] = field(default_factory=dict)  # as in Measured; empty without real data to measure on
    recalls: tuple[float | None, ...] = ()
    trap_label: int | None = None


@dataclass(frozen=True)
class CheckpointReady:
    """Everything needed to continue from the end of ``epoch``: tensors and plain values only.

    The tensors are not copied: save them before you take the next event.
    """

    epoch: int
    state: dict[str, Any]


TrainingEvent = RoundDone | EpochDone | CheckpointReady
