"""Training of shipped and users' teachers: one loop for SL, tNTL (ntl.py) and CUTI-domain (cuti.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import autocast, pick_device, use_threads
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, Classifier, build
from atesc_core.specs.teacher import TeacherRecipe, TeacherSpec
from atesc_core.teachers.cards import SHIPPED
from atesc_core.teachers.cuti import cuti_loss, isolation_domain
from atesc_core.teachers.ntl import ntl_loss
from atesc_core.teachers.recipes import RECIPES, command, taken_names
from atesc_core.teachers.zoo import measured_card, save_teacher
from atesc_core.training.evaluation import Evaluator
from atesc_core.training.events import CheckpointReady, EpochDone, Measured, RoundDone, TrainingEvent

ROUNDS = TeacherSpec.rounds
Terms = dict[str, Tensor]  # the terms of a loss by name, and their "total"


@dataclass(frozen=True)
class Batch:
    """The batch of one step: ID images, and the same number of OOD images."""

    number: int  # number of the step in the epoch, from 0
    id: ImageSet
    ood: ImageSet
    target: int | None  # the pair's label for OOD images
    random: torch.Generator


def tntl(model: Classifier, recipe: TeacherRecipe, batch: Batch) -> Terms:
    """The loss terms of tNTL.

    ID and OOD images go through the network as one batch, so BatchNorm's running statistics mix both domains, as
    published.
    """
    images = torch.cat([batch.id.images, batch.ood.images])
    with autocast(images.device):
        features = model.features(images)
        logits = model.head(features).float()
    logits_id, logits_ood = logits.chunk(2)
    features_id, features_ood = features.float().chunk(2)
    return ntl_loss(
        logits_id,
        logits_ood,
        features_id,
        features_ood,
        batch.id.labels,
        batch.ood.labels,
        batch.target,
        recipe.alpha,
        recipe.beta,
    )


def cuti(model: Classifier, recipe: TeacherRecipe, batch: Batch) -> Terms:
    """The loss terms of CUTI-domain: even steps take true OOD images, odd steps the isolation domain.

    For close-set pairs only: `steps_per_epoch` raises an error for others.
    """
    images = torch.cat([batch.id.images, batch.ood.images])
    with isolation_domain(model, batch.random) if batch.number % 2 else nullcontext(), autocast(images.device):
        logits = model(images).float()
    logits_id, logits_ood = logits.chunk(2)
    return cuti_loss(logits_id, logits_ood, batch.id.labels, batch.ood.labels, recipe.alpha)


LOSSES: dict[str, Callable[[Classifier, TeacherRecipe, Batch], Terms]] = {"tntl": tntl, "cuti": cuti}


def steps_per_epoch(recipe: TeacherRecipe, data: PairData) -> int:
    """Number of whole batches in the pair's ID training images.

    Raises:
        TeacherError: the method does not fit the pair, or there are fewer images than in a batch.
    """
    if recipe.trained_by == "cuti" and data.pair.target is not None:
        raise TeacherError(
            f"method: 'cuti' is for close-set pairs; {recipe.pair} sends OOD images to label "
            f"{data.pair.target}; expected 'tntl'"
        )
    images = data.id.counts["train"]
    if images < recipe.batch_size:
        raise TeacherError(
            f"batch_size: {recipe.batch_size}: {data.id.name} has {images} training images; expected at most {images}"
        )
    return images // recipe.batch_size


def images_per_step(recipe: TeacherRecipe) -> int:
    """Number of images in a step: of both domains for an NTL teacher, of ID only for an SL teacher."""
    return recipe.batch_size * (1 if recipe.kind == "SL" else 2)


class Training:
    """The state of one training: model, optimiser, schedule, random generators.

    Raises:
        TeacherError: as `steps_per_epoch`.
        ValueError: the architecture is not known.
    """

    def __init__(self, recipe: TeacherRecipe, data: PairData, device: torch.device) -> None:
        self.recipe, self.device, self.target = recipe, device, data.pair.target
        self.steps, self.images = steps_per_epoch(recipe, data), images_per_step(recipe)
        self.id, self.ood = data.id.train.to(device), data.ood.train.to(device)
        self.model = build(recipe.arch, len(data.id.classes), recipe.seed).to(device)
        if device.type == "cuda":  # not on the CPU: it would change the bits of the shipped teachers
            self.model.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.lr)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, recipe.epochs * self.steps)
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.epoch = 0  # epochs done

    def step(self, number: int, indices: Tensor) -> Terms:
        """One update of the model; returns the loss terms, detached.

        Args:
            number: Number of the step in the epoch, from 0.
            indices: (B,) indices of the ID images; the same number of OOD images are drawn independently.
        """
        id_images = self.id.where(indices)
        if self.recipe.kind == "SL":
            with autocast(self.device):
                logits = self.model(id_images.images).float()
            total = F.cross_entropy(logits, id_images.labels)
            terms = {"id": total, "total": total}
        else:
            drawn = torch.randint(len(self.ood), (len(indices),), generator=self.random).to(self.device)
            batch = Batch(number, id_images, self.ood.where(drawn), self.target, self.random)
            terms = LOSSES[self.recipe.method](self.model, self.recipe, batch)
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]  # PyTorch has no type for it
        self.optimiser.step()
        self.schedule.step()
        return {name: value.detach() for name, value in terms.items()}

    def state(self) -> dict[str, Any]:
        """The state for `load_state`; the tensors are not copied."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a training of the same recipe."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])


def train_teacher(
    recipe: TeacherRecipe,
    data: PairData,
    device: torch.device,
    evaluate: Callable[[Classifier], Measured] | None = None,
    resume: dict[str, Any] | None = None,
) -> Generator[TrainingEvent, None, Classifier]:
    """Train a teacher; for each epoch yields ROUNDS RoundDone, an EpochDone and a CheckpointReady.

    Args:
        recipe: Settings of the training.
        data: The images of the recipe's pair.
        device: The device to compute on.
        evaluate: Measures the model after each epoch, without changing it.
        resume: The state of a CheckpointReady of the same recipe.

    Returns:
        The teacher, in evaluation mode.

    Raises:
        TeacherError, ValueError: as Training.
    """
    training = Training(recipe, data, device)
    if resume is not None:
        training.load_state(resume)
    while training.epoch < recipe.epochs:
        epoch = training.epoch + 1
        order = torch.randperm(len(training.id), generator=training.random).to(device)
        for round_ in range(1, ROUNDS + 1):
            yield _train_round(training, epoch, round_, order)
        training.epoch = epoch
        images = epoch * training.steps * training.images
        yield EpochDone(epoch, images, *(evaluate(training.model) if evaluate else ()))
        yield CheckpointReady(epoch, training.state())
    return training.model.eval()


def _train_round(training: Training, epoch: int, round_: int, order: Tensor) -> RoundDone:
    """One of ROUNDS parts of the epoch's steps, which may be empty. Losses leave the device once per round."""
    first, end = ((part * training.steps) // ROUNDS for part in (round_ - 1, round_))
    size = training.recipe.batch_size
    terms = [training.step(number, order[number * size : (number + 1) * size]) for number in range(first, end)]
    losses = {
        f"t/{name}": float(torch.stack([each[name] for each in terms]).mean()) for name in (terms[0] if terms else ())
    }
    images = ((epoch - 1) * training.steps + end) * training.images
    return RoundDone(epoch, round_, images, losses, None, None)


def train_shipped(name: str, device: torch.device, folder: Path = SHIPPED) -> Iterator[TrainingEvent]:
    """Train the shipped teacher ``name`` again and write its weights and card into ``folder``.

    Yields the events of `train_teacher`.

    Raises:
        TeacherError: no recipe has that name.
    """
    if name not in RECIPES:
        raise TeacherError(
            f"teacher: {name!r} has no recipe; expected one of {', '.join(RECIPES)}, "
            "or --pair for a teacher of your own"
        )
    return _train_and_save(RECIPES[name], name, f"atesc teachers train {name}", device, folder)


def train_own(spec: TeacherSpec, runs_dir: Path, resume: dict[str, Any] | None = None) -> Iterator[TrainingEvent]:
    """Train the teacher that ``spec`` describes and add it to the teachers under ``runs_dir``.

    Yields the events of `train_teacher`. ``resume`` is the state of a CheckpointReady of the same spec.

    Raises:
        TeacherError, DomainError, ValueError: as `check_spec`; another teacher has taken its name.
    """
    check_spec(spec, taken_names(runs_dir, unless_made_by=spec))
    folder = Path(runs_dir) / "teachers"
    return _train_and_save(
        spec.recipe, spec.name, command(spec), pick_device(spec.device), folder, resume, spec.threads
    )


def _train_and_save(
    recipe: TeacherRecipe,
    name: str,
    made_by: str,
    device: torch.device,
    folder: Path,
    resume: dict[str, Any] | None = None,
    threads: int = 1,
) -> Generator[TrainingEvent, None, None]:
    """Yields the events of `train_teacher`: accuracies by epoch on validation images; the card's, on test images."""
    use_threads(threads)
    data = load_pair(recipe.pair, recipe.image_side)
    model = yield from train_teacher(recipe, data, device, Evaluator(data, device, "validation"), resume)
    card = measured_card(model, name, recipe.arch, recipe.kind, recipe.pair, recipe.image_side, recipe, made_by)
    save_teacher(model, card, folder)


def check_spec(spec: TeacherSpec, taken: Collection[str]) -> int:
    """Raise errors that would otherwise occur later. Returns the number of training images per epoch.

    Args:
        spec: The training to check.
        taken: Names that its teacher cannot have.

    Raises:
        TeacherError: the name is taken, the architecture is not known, or the method or the batch size does not fit
            the pair.
        DomainError: the pair is not known, or its images are not downloaded.
        ValueError: this machine does not have the device.
    """
    if spec.name in taken:
        raise TeacherError(f"name: {spec.name!r} is taken; expected a new name")
    if spec.arch not in ARCHITECTURES:
        raise TeacherError(f"arch: {spec.arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    pick_device(spec.device)
    return steps_per_epoch(spec, load_pair(spec.pair, spec.image_side)) * images_per_step(spec)
