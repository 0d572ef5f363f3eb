"""Traced turns: a step and its tensors, computed after the step. Tracing changes no random numbers and no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from atesc_core.device import autocast
from atesc_core.distillation.batch import StudentBatch
from atesc_core.distillation.losses import student_losses
from atesc_core.distillation.turns import Array, GeneratorTurn, StudentTurn
from atesc_core.models import untouched
from atesc_core.synthesis.base import GeneratorUpdate

if TYPE_CHECKING:
    from atesc_core.distillation.state import Distillation


@torch.no_grad()
def trace_generator_turn(
    run: Distillation, epoch: int, round_: int, number: int, update: GeneratorUpdate
) -> GeneratorTurn:
    """The turn that ``update`` describes. The student is still in evaluation mode, as the synthesizer left it."""
    before, after = update.images_before.float(), update.images_after().float()
    with autocast(run.device):
        teacher_before, teacher_after, student_before, student_after = (
            _array(model(images).float())
            for model in (run.synthesizer.teacher, run.student)
            for images in (before, after)
        )
    norm, count = gradient_norm(run.synthesizer.generator)
    return GeneratorTurn(
        epoch=epoch,
        round=round_,
        number=number,
        turn_count=update.turn_count,
        losses={
            f"g/{name}": _array(torch.stack([terms[name] for terms in update.losses])) for name in update.losses[-1]
        },
        gradient_norm=norm,
        weight_count=count,
        images_before=_pixels(before),
        images_after=_pixels(after),
        teacher_logits_before=teacher_before,
        teacher_logits_after=teacher_after,
        student_logits_before=student_before,
        student_logits_after=student_after,
        noise=None if update.noise is None else _array(update.noise),
        labels=None if update.labels is None else _array(update.labels),
    )


@torch.no_grad()
def trace_student_turn(
    run: Distillation,
    epoch: int,
    round_: int,
    number: int,
    batch: StudentBatch,
    terms: dict[str, Tensor],
    logits_before: Tensor,
    learning_rate: float,
) -> StudentTurn:
    """The student's last step, on ``batch``. The student is still in training mode.

    Args:
        run: the run after the step.
        epoch: from 1.
        round_: from 1.
        number: number of the step in the round, from 1.
        batch: M images.
        terms: the loss terms that ``Distillation.learn`` returned.
        logits_before: (M, C), the student's logits that it also returned.
        learning_rate: learning rate of the step.
    """
    with autocast(run.device):
        logits_after = untouched(run.student, batch.images).float()
    terms_after = student_losses(batch, logits_after, run.spec)
    norm, count = gradient_norm(run.student)
    return StudentTurn(
        epoch=epoch,
        round=round_,
        number=number,
        turn_count=run.spec.student_steps,
        losses={f"s/{name}": float(terms[name]) for name in terms_after},
        losses_after={f"s/{name}": float(value) for name, value in terms_after.items()},
        gradient_norm=norm,
        weight_count=count,
        learning_rate=learning_rate,
        images=_pixels(batch.images),
        teacher_logits=_array(batch.teacher_logits),
        student_logits_before=_array(logits_before),
        student_logits_after=_array(logits_after),
        teach_mask=_array(batch.teach_mask),
        forget_mask=None if batch.forget_mask is None else _array(batch.forget_mask),
        fragile_mask=None if batch.fragile_mask is None else _array(batch.fragile_mask),
        threshold=None if batch.fragile_mask is None else run.threshold,
    )


def gradient_norm(model: nn.Module) -> tuple[float, int]:
    """L2 norm over the gradients of all weights, and the number of weights."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients])
    return float(torch.linalg.vector_norm(norms)), sum(gradient.numel() for gradient in gradients)


def _array(values: Tensor) -> Array:
    return values.cpu().numpy()


def _pixels(images: Tensor) -> Array:
    """images: (B, 3, H, W) in [0, 1] -> uint8."""
    return _array((images * 255).round().to(torch.uint8))
