"""The batch that one step of the student learns from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StudentBatch:
    """M synthetic images and what the student does with each.

    With twin synthesis the last images are those of the OOD half, which never teach.
    """

    images: Tensor  # (M, 3, H, W) in [0, 1]
    teacher_logits: Tensor  # (M, C)
    teach_mask: Tensor  # (M,) bool: the student learns the teacher's answer to these images
    forget_mask: Tensor | None = None  # (M,) bool: it forgets the answer to these; None in rounds without forgetting
    fragile_mask: Tensor | None = None  # (M,) bool; None in rounds without a split
