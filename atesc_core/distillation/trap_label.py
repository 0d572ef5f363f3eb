"""How well both halves of twin synthesis fit the teacher's BatchNorm statistics, with a run's trap label [this lab].

A batch of ID images and of images with the trap label has the statistics of the batches that the teacher was trained
on. With another label in its place it has not, or only after much longer. Measured: docs/method.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from atesc_core.distillation.state import Distillation

STEPS = 120  # of the generators; the last quarter counts


def halves_fit(run: Distillation) -> float:
    """Trains a run that has not begun, for at least STEPS steps of its generators; returns its weighted R_BN then."""
    values: list[torch.Tensor] = []
    while len(values) < STEPS:
        for update in run.synthesizer.turns(run.student):
            values += [terms["bn"] for terms in update.losses]
        for _ in range(run.spec.student_steps):
            run.student_step(epoch=1)
    return float(torch.stack(values[-STEPS // 4 :]).mean())
