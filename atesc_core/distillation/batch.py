"""The batch that one step of the student learns from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StudentBatch:
    """N synthetic images and what the student learns from each.

    More images, which are only forgotten, may follow: M ≥ N images in all.
    """

    images: Tensor  # (M, 3, H, W) in [0, 1]
    teacher_logits: Tensor  # (M, C)
    target_logits: Tensor  # (N, C), the logits that the student learns to give
    forget_mask: Tensor  # (M,) bool: these images do not teach, and the student forgets the teacher's answer to them
    fragile_mask: Tensor | None = None  # (M,) bool; None in rounds without a split

    @property
    def synthetic_count(self) -> int:
        """N: the first N images are synthetic."""
        return len(self.target_logits)
