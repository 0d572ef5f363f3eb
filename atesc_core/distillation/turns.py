"""One turn of the generator or of the student, with its tensors. Imports no torch, because pages read turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Who = Literal["generator", "student"]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class GeneratorTurn:
    """One turn of the generator: a step of DFQ, a call of CMI, a loop of NAYER. B images of its batch, C classes.

    Logits are those that train the generator, in evaluation mode.
    """

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    number: int  # from 1, within the round
    turn_count: int  # turns of the generator in this round
    losses: dict[str, Array]  # "g/bn" ...: (K,) each, weighted, of the turn's K steps
    gradient_norm: float  # L2 norm over all weights of the generator, in the last step
    weight_count: int  # of the generator
    images_before: Array  # (B, 3, H, W) uint8, the images of the first step
    images_after: Array  # (B, 3, H, W) uint8; DFQ: from the same noise after the step; CMI, NAYER: from the best step
    teacher_logits_before: Array  # (B, C) float32
    teacher_logits_after: Array  # (B, C) float32
    student_logits_before: Array  # (B, C) float32
    student_logits_after: Array  # (B, C) float32
    noise: Array | None = None  # (B, L) float32, the noise of the images
    labels: Array | None = None  # (B,) int64, the target labels of the images

    who = "generator"


@dataclass(frozen=True, eq=False)
class StudentTurn:
    """One step of the student on M synthetic images; with twin synthesis the last are the OOD half.

    The student's logits are those of training mode, before and after the step, on the same batch.
    """

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    number: int  # from 1, within the round
    turn_count: int  # steps of the student in this round
    losses: dict[str, float]  # "s/fragile", "s/robust" if it forgets, "s/total": the minimised loss
    losses_after: dict[str, float]  # the same losses of the same batch after the step
    gradient_norm: float  # L2 norm over all weights of the student
    weight_count: int  # of the student
    learning_rate: float
    images: Array  # (M, 3, H, W) uint8
    teacher_logits: Array  # (M, C) float32
    student_logits_before: Array  # (M, C) float32
    student_logits_after: Array  # (M, C) float32
    teach_mask: Array  # (M,) bool: the student learns the teacher's answer to these images
    forget_mask: Array | None = None  # (M,) bool: it forgets the answer to these; None in rounds without forgetting
    fragile_mask: Array | None = None  # (M,) bool; None in rounds without a split
    threshold: float | None = None  # of the split; None in rounds without a split

    who = "student"


Turn = GeneratorTurn | StudentTurn


def next_turn(last: Turn | None) -> Who:
    """The network of the next turn; a round begins with the generator."""
    if last is None:
        return "generator"
    if last.number < last.turn_count:
        return "generator" if isinstance(last, GeneratorTurn) else "student"
    return "student" if isinstance(last, GeneratorTurn) else "generator"


def probabilities(logits: Array) -> Array:
    """Softmax over the last axis. logits: (..., C)."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Array = powers / powers.sum(-1, keepdims=True)
    return shares


def mean_confidence(logits: Array) -> float:
    """Mean over images of the largest probability, in per cent. logits: (B, C)."""
    return float(100 * probabilities(logits).max(-1).mean())


def agreement(logits: Array, other_logits: Array) -> float:
    """Share of images with the same label from both logits, in per cent. Both (B, C), B > 0."""
    return float(100 * (logits.argmax(-1) == other_logits.argmax(-1)).mean())
