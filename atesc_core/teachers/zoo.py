"""Teachers on disk: a safetensors file of weights and a JSON card. No code in these files is executed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from atesc_core.domains.loading import load_pair
from atesc_core.errors import TeacherError
from atesc_core.files import atomic_write
from atesc_core.models import Classifier
from atesc_core.specs.base import NO_HTML
from atesc_core.specs.teacher import TeacherRecipe
from atesc_core.teachers.cards import TeacherCard, card_file, read_card, weights_file
from atesc_core.teachers.files import header, save_tensors
from atesc_core.teachers.formats import read_classifier
from atesc_core.training.evaluation import Evaluator
from atesc_core.vocabulary import METRIC_NAMES


@dataclass(frozen=True)
class Teacher:
    """A teacher with its weights."""

    card: TeacherCard
    model: Classifier  # in evaluation mode, without gradients


def load_teacher(name: str, runs_dir: Path | None = None) -> Teacher:
    """The teacher ``name``, shipped or added under ``runs_dir``.

    Raises:
        TeacherError: there is no such teacher, or its weights do not fit its card.
    """
    card = read_card(card_file(name, runs_dir))
    return Teacher(card, read_classifier(weights_file(name, runs_dir), card.arch, card.num_classes))


def save_teacher(model: Classifier, card: TeacherCard, folder: Path) -> None:
    """Write weights and card into ``folder``: the weights first, so that a card on disk always has its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, text = folder / f"{card.name}.safetensors", folder / f"{card.name}.json"
    save_tensors(model.state_dict(), weights, header(card.class_names, card.image_side, card.arch))
    with atomic_write(text) as file:
        file.write((card.model_dump_json(indent=1) + "\n").encode())


def measured_card(
    model: Classifier,
    name: str,
    arch: str,
    kind: Literal["SL", "NTL"],
    pair: str,
    image_side: int,
    recipe: TeacherRecipe | None = None,
    command: str = "",
    class_names: tuple[str, ...] | None = None,
) -> TeacherCard:
    """The card of ``model``, with its accuracies, which are measured now on the test images of ``pair``.

    For ``class_names`` None or (), the card gets those of the pair's ID domain. The other arguments are fields of the
    card.

    Raises:
        TeacherError: the number of classes or of class names does not match; a name is empty, too long, or has < or >.
        DomainError: the pair cannot be loaded.
    """
    data = load_pair(pair, image_side)
    if model.num_classes != len(data.id.classes):
        raise TeacherError(f"num_classes: {model.num_classes}; the pair {pair} has {len(data.id.classes)} classes")
    class_names = class_names or data.id.classes
    if len(class_names) != model.num_classes:
        raise TeacherError(f"class_names: {len(class_names)} names; expected {model.num_classes}, one an output")
    if invalid := [name for name in class_names if not (1 <= len(name) <= 80 and re.fullmatch(NO_HTML, name))]:
        raise TeacherError(f"class_names: {invalid[0][:80]!r}: expected 1 to 80 characters a name, without < and >")
    metrics = Evaluator(data, next(model.parameters()).device)(model).metrics
    return TeacherCard(
        name=name,
        kind=kind,
        pair=pair,
        arch=arch,
        image_side=image_side,
        num_classes=model.num_classes,
        class_names=class_names,
        parameters=sum(p.numel() for p in model.parameters()),
        metrics={name: round(metrics[name], 2) for name in METRIC_NAMES if name in metrics},
        test_images={"id": len(data.id.test), "ood": len(data.ood.test)},
        recipe=recipe,
        command=command,
    )
