"""TODO: what this module is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from atesc_core.distillation.turns import Turn
from atesc_core.training.events import CheckpointReady, EpochDone, StepDone


@dataclass(frozen=True)
class SnapshotTaken:
    """Synthetic images at the end of an epoch, with everything the app shows of them (on the CPU)."""

    epoch: int
    images: Tensor  # (N, 3, H, W) uint8
    teacher_probs: Tensor  # (N, C) float32
    student_probs: Tensor  # (N, C) float32
    features: Tensor  # (N, F) float32, the teacher's penultimate layer
    scores: dict[str, Tensor]  # (N,) float32 each, by name in SCORES; "min_eps" in 1/255, inf where never flipped
    fragile: Tensor  # (N,) bool, by the run's score and the threshold in force
    threshold: float


@dataclass(frozen=True)
class ThresholdChanged:
    """The split's threshold is another from this round on: by hand, or found by the automatic rule."""

    epoch: int
    round: int
    threshold: float
    by: str  # "hand" or "auto"


Event = StepDone | EpochDone | SnapshotTaken | ThresholdChanged | CheckpointReady | Turn
