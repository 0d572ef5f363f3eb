"""A turn that was just taken, looked at: nothing is drawn, and nothing learned from looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from atesc_core.device import autocast
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.models import untouched
from atesc_core.synthesis.base import Learned

if TYPE_CHECKING:
    from atesc_core.distillation.state import Distillation, StudentBatch


@torch.no_grad()
def generator_turn(run: Distillation, epoch: int, round_: int, number: int, turn: Learned) -> GeneratorTurn:
    """The student is still in evaluation mode, as the synthesizer left it."""
    before, after = turn.before.float(), turn.after().float()
    with autocast(run.device):
        said = [as_array(model(x).float()) for model in (run.untrapped, run.student) for x in (before, after)]
    losses = {f"g/{name}": as_array(torch.stack([terms[name] for terms in turn.losses])) for name in turn.losses[-1]}
    return GeneratorTurn(
        epoch,
        round_,
        number,
        turn.of,
        losses,
        *gradient_size(run.synthesizer.generator),
        as_pictures(before),
        as_pictures(after),
        *said,
        noise=as_array(turn.noise),
        labels=as_array(turn.labels),
    )


@torch.no_grad()
def student_turn(
    run: Distillation,
    epoch: int,
    round_: int,
    number: int,
    lesson: StudentBatch,
    terms: dict[str, Tensor],
    before: Tensor,
    lr: float,
) -> StudentTurn:
    """The student is still in training mode. terms, before: what ``Distillation.learn`` gave; lr: what it learned
    with."""
    with autocast(run.device):
        after = untouched(run.student, lesson.x).float()
    again = run.losses(lesson, after)
    arrays = map(as_array, (lesson.teacher, lesson.taught, before, after, lesson.trapped, lesson.fragile))
    return StudentTurn(
        epoch,
        round_,
        number,
        run.spec.student_steps,
        {f"s/{name}": float(terms[name]) for name in again},
        {f"s/{name}": float(value) for name, value in again.items()},
        *gradient_size(run.student),
        lr,
        lesson.synthetic,
        as_pictures(lesson.x),
        *arrays,
        run.threshold if lesson.fragile is not None else None,
    )


def gradient_size(model: nn.Module) -> tuple[float, int]:
    """L2 norm of the gradient that is with the model's weights, over all of them, and how many numbers that is."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    norm = torch.stack([gradient.float().norm() for gradient in gradients]).norm()
    return float(norm), sum(gradient.numel() for gradient in gradients)


def as_array(values: Tensor | None) -> np.ndarray | None:
    return None if values is None else values.cpu().numpy()


def as_pictures(x: Tensor) -> np.ndarray:
    """x: (B, 3, H, W) in [0, 1] -> uint8."""
    return as_array((x * 255).round().to(torch.uint8))
