"""One turn of a run, looked at closely: the tensors behind it, and what they say. No torch: pages read them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Who = Literal["generator", "student"]


@dataclass(frozen=True, eq=False)
class GeneratorTurn:
    """Some steps of the generator: of DFQ one, of CMI a call, of NAYER a loop. B images of its batch, C classes.

    Teacher and student are asked as the generator asks them: in evaluation mode; the teacher without its trap where
    the run unlearns that (``escape.trap_projection``).
    """

    epoch: int  # from 1
    round: int  # from 1, within the epoch
    number: int  # from 1, of the ``of`` turns of the generator in this round
    of: int
    losses: dict[str, np.ndarray]  # "g/bn" ...: (K,) each, of the turn's K steps, weighted as they add up
    gradient: float  # L2 norm over all of the generator's weights, in the last step
    weights: int  # so many numbers
    before: np.ndarray  # (B, 3, H, W) uint8, that the first step was taken on
    after: np.ndarray  # (B, 3, H, W) uint8: DFQ, of the same noise after it; CMI, NAYER, the best step's
    teacher_before: np.ndarray  # (B, C) float32 each: logits
    teacher_after: np.ndarray
    student_before: np.ndarray
    student_after: np.ndarray
    noise: np.ndarray | None = None  # (B, L) float32, that the images were made from
    labels: np.ndarray | None = None  # (B,) int64, that they were asked for

    who = "generator"


@dataclass(frozen=True, eq=False)
class StudentTurn:
    """One step of the student. B images, the first ``synthetic`` of them synthetic, the others noise probes.

    The student is asked as it learns: in training mode, before and after the step on the same batch.
    """

    epoch: int
    round: int
    number: int  # from 1, of the round's ``of`` steps of the student
    of: int
    losses: dict[str, float]  # "s/fragile", "s/robust" while forgetting, "s/total": what the step was taken on
    losses_after: dict[str, float]  # the same of the same batch, after it
    gradient: float  # L2 norm over all of the student's weights
    weights: int
    lr: float
    synthetic: int
    images: np.ndarray  # (B, 3, H, W) uint8
    teacher: np.ndarray  # (B, C) float32 each: logits
    taught: np.ndarray  # (synthetic, C), what teaches: the teacher's, or those of the teacher without its trap
    student_before: np.ndarray
    student_after: np.ndarray
    trapped: np.ndarray  # (B,) bool: held back from teaching, and forgotten by ATEsc
    fragile: np.ndarray | None = None  # (B,) bool; None while nothing is split
    threshold: float | None = None  # that splits them

    who = "student"

    @property
    def teaching(self) -> np.ndarray:
        """(synthetic,) bool."""
        return ~self.trapped[: self.synthetic]


Turn = GeneratorTurn | StudentTurn


def next_turn(last: Turn | None) -> Who:
    """Whose turn comes after; a round begins with the generator's."""
    if last is None:
        return "generator"
    whole = last.number == last.of
    return ("student" if whole else "generator") if last.who == "generator" else ("generator" if whole else "student")


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(..., C), summing to 1."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sureness(logits: np.ndarray) -> float:
    """Mean of the largest probability over images, in per cent. logits: (B, C)."""
    return float(100 * probabilities(logits).max(-1).mean())


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Images that both give the same label, in per cent. Logits (B, C) each, B > 0."""
    return float(100 * (ours.argmax(-1) == theirs.argmax(-1)).mean())
