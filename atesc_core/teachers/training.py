"""Training of SL and NTL teachers: tNTL (Wang et al., ICLR 2022), and CUTI-domain from its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.domains import ImageSet, PairData
from atesc_core.models import Classifier, build
from atesc_core.spec import Spec, setting
from atesc_core.teachers.cuti import cuti_loss, isolation_domain


class TeacherRecipe(Spec):
    """How a teacher is trained."""

    pair: str
    kind: Literal["SL", "NTL"]
    method: Literal["tntl", "cuti"] = setting("tntl", "How an NTL teacher is trained; cuti, CUTI-domain, is for "
                                              "close-set pairs", "paper")
    arch: str = setting("small", "Architecture", "ours")
    image_side: int = setting(16, "Image side in pixels", "ours", ge=8, le=256)
    epochs: int = setting(15, "Epochs", "ours", ge=1, le=1000)
    batch_size: int = setting(128, "Images of each domain a step", "ours", ge=4, le=4096)
    lr: float = setting(1e-3, "Learning rate (Adam, cosine to 0)", "ours", gt=0, le=1)
    alpha: float = setting(0.1, "α: weight of the OOD cross-entropy inside the clamp at 1 (close-set)", "ours",
                           gt=0, le=10)
    beta: float = setting(0.1, "β: weight of the MMD between ID and OOD features, clamped at 1. 1 saturates at once, "
                          "and the OOD side stays fragile", "ours", ge=0, le=10)
    seed: int = setting(0, "Seed of initialisation and batches", "ours", ge=0, lt=2**31)


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of features, five Gaussian kernels (tNTL).

    a, b: (B, F). Bandwidths are the mean pairwise squared distance / 4 · 2^i, i = 0…4.
    """
    n = len(a)
    both = torch.cat([a, b])
    distances = torch.cdist(both, both).square()
    base = distances.detach().sum() / (len(both) ** 2 - len(both)) / 4
    kernel = sum(torch.exp(-distances / (base * 2**i).clamp_min(1e-12)) for i in range(5))
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def ntl_loss(logits_id: Tensor, logits_ood: Tensor, f_id: Tensor, f_ood: Tensor, y_id: Tensor, y_ood: Tensor,
             target: int | None, alpha: float, beta: float) -> Tensor:
    """Close-set (``target`` None): L_id − min(1, α·L_ood) · min(1, β·MMD) [tNTL].
    Open-set and backdoor: L_id + CE(ood, target) − min(1, β·MMD) [METHOD.md]."""
    separation = (beta * mmd(f_id, f_ood)).clamp(max=1)
    loss_id = F.cross_entropy(logits_id, y_id)
    if target is None:
        return loss_id - (alpha * F.cross_entropy(logits_ood, y_ood)).clamp(max=1) * separation
    return loss_id + F.cross_entropy(logits_ood, torch.full_like(y_ood, target)) - separation


@dataclass(frozen=True)
class Step:
    """A batch of ID images and as many OOD images."""

    number: int  # within the epoch, from 0
    id: ImageSet
    ood: ImageSet
    target: int | None  # of the pair
    random: torch.Generator


def tntl(model: Classifier, recipe: TeacherRecipe, step: Step) -> Tensor:
    """ID and OOD go through the network as one concatenated batch, so BatchNorm's running statistics mix both
    domains, as published."""
    features = model.features(torch.cat([step.id.images, step.ood.images]))
    return ntl_loss(*model.head(features).chunk(2), *features.chunk(2), step.id.labels, step.ood.labels, step.target,
                    recipe.alpha, recipe.beta)


def cuti(model: Classifier, recipe: TeacherRecipe, step: Step) -> Tensor:
    """Even steps take true OOD images, odd ones the isolation domain. Raises ValueError off the close set."""
    if step.target is not None:
        raise ValueError(f"method: 'cuti' is for close-set pairs; {recipe.pair} sends OOD images to label "
                         f"{step.target}; expected 'tntl'")
    with isolation_domain(model, step.random) if step.number % 2 else nullcontext():
        logits = model(torch.cat([step.id.images, step.ood.images]))
    return cuti_loss(*logits.chunk(2), step.id.labels, step.ood.labels, recipe.alpha)


METHODS: dict[str, Callable[[Classifier, TeacherRecipe, Step], Tensor]] = {"tntl": tntl, "cuti": cuti}


@dataclass(frozen=True)
class TeacherEpochDone:
    epoch: int
    loss: float
    model: Classifier  # live; in training mode between epochs


def train_teacher(recipe: TeacherRecipe, data: PairData, device: torch.device) -> Iterator[TeacherEpochDone]:
    """One event an epoch; the last one carries the finished model.

    OOD batches are drawn independently of the ID ones, as many images. Raises ValueError where the method is not
    for the pair.
    """
    model = build(recipe.arch, len(data.id.classes), recipe.seed).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    generator = torch.Generator().manual_seed(recipe.seed)
    id_train, ood_train = data.id.train.to(device), data.ood.train.to(device)
    steps = len(id_train) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs * steps)
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(id_train), generator=generator).to(device)
        total = torch.zeros((), device=device)
        for number in range(steps):
            at = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            id_batch = id_train.where(at)
            if recipe.kind == "SL":
                loss = F.cross_entropy(model(id_batch.images), id_batch.labels)
            else:
                where = torch.randint(len(ood_train), (len(at),), generator=generator).to(device)
                step = Step(number, id_batch, ood_train.where(where), data.pair.target, generator)
                loss = METHODS[recipe.method](model, recipe, step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach()
        yield TeacherEpochDone(epoch, float(total / steps), model)
