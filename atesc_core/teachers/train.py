"""Training of SL and NTL teachers: tNTL (Wang et al., ICLR 2022), and CUTI-domain from its own file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import autocast
from atesc_core.distillation.events import Event
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData
from atesc_core.models import Classifier, build
from atesc_core.specs.teacher import TeacherRecipe, TeacherSpec
from atesc_core.teachers.cuti import cuti_loss, isolation_domain
from atesc_core.training.events import CheckpointReady, EpochDone, StepDone

ROUNDS = TeacherSpec.rounds
Terms = dict[str, Tensor]
"""Loss terms as they add up, and their ``total``."""


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


def ntl_loss(
    logits_id: Tensor,
    logits_ood: Tensor,
    f_id: Tensor,
    f_ood: Tensor,
    y_id: Tensor,
    y_ood: Tensor,
    target: int | None,
    alpha: float,
    beta: float,
) -> Terms:
    """Close-set (``target`` None): L_id − min(1, α·L_ood) · min(1, β·MMD) [tNTL].
    Open-set and backdoor: L_id + CE(ood, target) − min(1, β·MMD) [METHOD.md]."""
    separation = (beta * mmd(f_id, f_ood)).clamp(max=1)
    loss_id = F.cross_entropy(logits_id, y_id)
    if target is None:
        loss_ood = (alpha * F.cross_entropy(logits_ood, y_ood)).clamp(max=1)
        total = loss_id - loss_ood * separation
    else:
        loss_ood = F.cross_entropy(logits_ood, torch.full_like(y_ood, target))
        total = loss_id + loss_ood - separation
    return {"id": loss_id, "ood": loss_ood, "separation": separation, "total": total}


@dataclass(frozen=True)
class Step:
    """A batch of ID images and as many OOD images."""

    number: int  # within the epoch, from 0
    id: ImageSet
    ood: ImageSet
    target: int | None  # of the pair
    random: torch.Generator


def tntl(model: Classifier, recipe: TeacherRecipe, step: Step) -> Terms:
    """ID and OOD go through the network as one concatenated batch, so BatchNorm's running statistics mix both
    domains, as published."""
    images = torch.cat([step.id.images, step.ood.images])
    with autocast(images.device):
        features = model.features(images)
        logits = model.head(features).float()
    return ntl_loss(
        *logits.chunk(2),
        *features.float().chunk(2),
        step.id.labels,
        step.ood.labels,
        step.target,
        recipe.alpha,
        recipe.beta,
    )


def cuti(model: Classifier, recipe: TeacherRecipe, step: Step) -> Terms:
    """Even steps take true OOD images, odd ones the isolation domain. Close set only: `steps_an_epoch` sees to it."""
    images = torch.cat([step.id.images, step.ood.images])
    with isolation_domain(model, step.random) if step.number % 2 else nullcontext(), autocast(images.device):
        logits = model(images).float()
    return cuti_loss(*logits.chunk(2), step.id.labels, step.ood.labels, recipe.alpha)


METHODS: dict[str, Callable[[Classifier, TeacherRecipe, Step], Terms]] = {"tntl": tntl, "cuti": cuti}


def steps_an_epoch(recipe: TeacherRecipe, data: PairData) -> int:
    """Raises ValueError where the method is not for the pair, or a batch would not fill."""
    if recipe.trained_by == "cuti" and data.pair.target is not None:
        raise ValueError(
            f"method: 'cuti' is for close-set pairs; {recipe.pair} sends OOD images to label "
            f"{data.pair.target}; expected 'tntl'"
        )
    images = len(data.id.train)
    if images < recipe.batch_size:
        raise ValueError(
            f"batch_size: {recipe.batch_size}: {data.id.name} has {images} training images; expected at most {images}"
        )
    return images // recipe.batch_size


def images_a_step(recipe: TeacherRecipe) -> int:
    """Of both domains; an SL teacher learns from ID only."""
    return recipe.batch_size * (1 if recipe.kind == "SL" else 2)


class Training:
    """The state of one training: model, optimiser, schedule, randomness."""

    def __init__(self, recipe: TeacherRecipe, data: PairData, device: torch.device):
        """Raises ValueError, as `steps_an_epoch` does, and where the architecture is not known."""
        self.recipe, self.device, self.target = recipe, device, data.pair.target
        self.steps, self.images = steps_an_epoch(recipe, data), images_a_step(recipe)
        self.id, self.ood = data.id.train.to(device), data.ood.train.to(device)
        self.model = build(recipe.arch, len(data.id.classes), recipe.seed).to(device)
        if device.type == "cuda":  # on the CPU as ever: the shipped teachers come out the same to the bit
            self.model.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.lr)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, recipe.epochs * self.steps)
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.epoch = 0  # epochs done

    def step(self, number: int, at: Tensor) -> Terms:
        """One update, from the ID images at ``at``, (B,), and as many OOD images drawn independently of them."""
        batch = self.id.where(at)
        if self.recipe.kind == "SL":
            with autocast(self.device):
                logits = self.model(batch.images).float()
            total = F.cross_entropy(logits, batch.labels)
            terms = {"id": total, "total": total}
        else:
            where = torch.randint(len(self.ood), (len(at),), generator=self.random).to(self.device)
            step = Step(number, batch, self.ood.where(where), self.target, self.random)
            terms = METHODS[self.recipe.method](self.model, self.recipe, step)
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        self.optimiser.step()
        self.schedule.step()
        return {name: value.detach() for name, value in terms.items()}

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])


def train_teacher(
    recipe: TeacherRecipe,
    data: PairData,
    device: torch.device,
    evaluate: Callable[[Classifier], dict[str, float]] | None = None,
    resume: dict[str, Any] | None = None,
) -> Generator[Event, None, Classifier]:
    """Train a teacher; yields an epoch at a time StepDone for every round, EpochDone, CheckpointReady; returns it.

    ``evaluate`` only measures; without it the same teacher comes out. ``resume`` is the state of a CheckpointReady
    of the same recipe. Raises ValueError, as Training does.
    """
    run = Training(recipe, data, device)
    if resume is not None:
        run.load_state(resume)
    while run.epoch < recipe.epochs:
        epoch = run.epoch + 1
        order = torch.randperm(len(run.id), generator=run.random).to(device)
        for round_ in range(1, ROUNDS + 1):
            yield one_round(run, epoch, round_, order)
        run.epoch = epoch
        yield EpochDone(epoch, epoch * run.steps * run.images, evaluate(run.model) if evaluate else {})
        yield CheckpointReady(epoch, run.state())
    return run.model.eval()


def one_round(run: Training, epoch: int, round_: int, order: Tensor) -> StepDone:
    """A ROUNDS-th part of the epoch's steps, none where there are fewer. Values leave the device once a round."""
    first, end = ((part * run.steps) // ROUNDS for part in (round_ - 1, round_))
    size = run.recipe.batch_size
    terms = [run.step(number, order[number * size : (number + 1) * size]) for number in range(first, end)]
    losses = {
        f"t/{name}": float(torch.stack([each[name] for each in terms]).mean()) for name in (terms[0] if terms else ())
    }
    return StepDone(epoch, round_, ((epoch - 1) * run.steps + end) * run.images, losses, None, None)
