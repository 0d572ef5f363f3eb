"""The paper's second idea: the student learns from fragile images and forgets the teacher's answer to robust ones.

Pure functions of logits, (B, C). A mask, (B,) bool, selects the images that count; a loss over no image is 0 with a
zero gradient. KL is in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from atesc_core.distillation.batch import StudentBatch
from atesc_core.specs.run import RunSpec
from atesc_core.training.divergence import complement_loss, kl_divergence, masked_mean, total_loss


def student_losses(batch: StudentBatch, student: Tensor, spec: RunSpec) -> dict[str, Tensor]:
    """L = CKD + λ · forgetting. Scalars ``fragile``, ``robust`` if the round forgets, and their sum ``total``.

    Args:
        batch: M images.
        student: (M, C), the student's logits of the images.
        spec: sets temperature, λ, and the form of forgetting.
    """
    escape, teacher = spec.escape, batch.teacher_logits
    terms = {"fragile": ckd(teacher, student, batch.teach_mask, spec.temperature)}
    if batch.forget_mask is not None:
        forgetting = FORGETTING[escape.form_of_forgetting](teacher, student, escape.clamp)
        terms["robust"] = escape.weight * masked_mean(forgetting, batch.forget_mask)
    return terms | {"total": total_loss(terms)}


def ckd(teacher: Tensor, student: Tensor, fragile: Tensor, temperature: float = 1.0) -> Tensor:
    """Calibrated knowledge distillation: mean KL(T ‖ S) over the fragile images [paper]. A scalar."""
    return masked_mean(kl_divergence(teacher, student, temperature), fragile)


def negative_kl(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """−min(KL(T ‖ S), clamp) of each image, (B,): away from the teacher, until ``clamp`` nats [form: this lab]."""
    return -kl_divergence(teacher, student).clamp(max=clamp)


def uniform(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """KL(U ‖ S) of each image, (B,): towards the uniform distribution [this lab]. Only ``student`` is used."""
    return -student.log_softmax(1).mean(1) - torch.log(torch.tensor(float(student.shape[1])))


def negative_learning(teacher: Tensor, student: Tensor, clamp: float) -> Tensor:
    """−log(1 − S_y), y = arg max T, of each image, (B,): only the teacher's label is unlearned [this lab].

    ``clamp`` is not used.
    """
    return complement_loss(student, teacher.argmax(1))


FORGETTING: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "negative_kl": negative_kl,
    "uniform": uniform,
    "negative_learning": negative_learning,
}
