"""Events of a distillation; ``training/events.py`` has those that a teacher's training has too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from atesc_core.distillation.turns import Turn
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.training.events import TrainingEvent


@dataclass(frozen=True)
class SnapshotTaken:
    """Synthetic images at the end of an epoch, with all that the app shows about them (on the CPU)."""

    epoch: int
    images: Tensor  # (N, 3, H, W) uint8
    teacher_probs: Tensor  # (N, C) float32
    student_probs: Tensor  # (N, C) float32
    features: Tensor  # (N, F) float32, the teacher's penultimate layer
    batchnorm: Tensor  # (2, K) float32, statistics of the teacher's BatchNorm inputs: models/batchnorm.py
    scores: dict[str, Tensor]  # (N,) float32 each, by name in SCORES; "min_eps" in 1/255, inf if never flipped
    fragile: Tensor  # (N,) bool, by the run's score and the threshold in force
    threshold: float


@dataclass(frozen=True)
class ThresholdChanged:
    """The split has another threshold from this round on."""

    epoch: int
    round: int
    threshold: float
    by: Literal["hand", "auto"]  # by the user, or by the spec's rule


@dataclass(frozen=True)
class LabelTried:
    """Twin synthesis is tried with a label, before the first round, as noise images leave several."""

    label: int
    step: int  # of the generators; 0 before the first


@dataclass(frozen=True)
class TrapSought:
    """What is known about a trap, before the first round of a run with twin synthesis."""

    evidence: TrapEvidence


Event = TrainingEvent | SnapshotTaken | ThresholdChanged | LabelTried | TrapSought | Turn
