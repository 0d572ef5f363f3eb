"""Teachers on disk: a safetensors file of weights, and a JSON card beside it. Files are data, never code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors.torch import save_file

from atesc_core.domains import find_pair
from atesc_core.domains.loading import load_pair
from atesc_core.errors import DomainError, TeacherError
from atesc_core.models import Classifier
from atesc_core.specs.teacher import NAME, TeacherRecipe
from atesc_core.teachers.cards import TeacherCard, card_file, list_teachers, read_card, weights_file
from atesc_core.teachers.formats import check_file, recognise
from atesc_core.training.evaluation import Evaluator


@dataclass(frozen=True)
class Teacher:
    """A teacher with its weights."""

    card: TeacherCard
    model: Classifier  # in evaluation mode, without gradients


def load_teacher(name: str, runs_dir: Path | None = None) -> Teacher:
    """The teacher ``name``: a shipped one, or one that was added under ``runs_dir``.

    Raises:
        TeacherError: there is no such teacher, or its weights do not fit its card.
    """
    card = read_card(card_file(name, runs_dir))
    return Teacher(card, check_file(weights_file(name, runs_dir), card.arch, card.num_classes))


def save_teacher(model: Classifier, card: TeacherCard, folder: Path) -> None:
    """Write weights and card into ``folder``: the weights first, so that a card on disk always has its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, text = folder / f"{card.name}.safetensors", folder / f"{card.name}.json"
    save_file({key: value.cpu().contiguous() for key, value in model.state_dict().items()}, f"{weights}.part")
    Path(f"{weights}.part").replace(weights)
    Path(f"{text}.part").write_text(card.model_dump_json(indent=1) + "\n")
    Path(f"{text}.part").replace(text)


def add_teacher(
    path: Path,
    name: str,
    arch: str,
    kind: Literal["SL", "NTL"],
    pair: str,
    image_side: int,
    runs_dir: Path,
    normalisation: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> TeacherCard:
    """Check a user's file, measure it on its pair, and keep it under ``runs_dir``. Raises TeacherError.

    ``normalisation`` and ``class_names`` are what the file does not say itself: see `check_file`; None takes the
    file's class names, or the pair's.
    """
    if not NAME.fullmatch(name):
        raise TeacherError(f"name: {name!r}: expected lower-case letters, digits, '-' and '_', at most 64")
    if name in {card.name for card in list_teachers(runs_dir)}:
        raise TeacherError(f"name: {name!r} is taken; expected a new name")
    try:
        find_pair(pair)
    except DomainError as error:
        raise TeacherError(str(error)) from None
    model = check_file(path, arch, normalisation=normalisation)
    class_names = class_names or recognise(path).class_names
    card = measured_card(model, name, arch, kind, pair, image_side, class_names=class_names)
    save_teacher(model, card, Path(runs_dir) / "teachers")
    return card


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
    """The card of ``model``, its accuracies measured now; ``class_names`` None takes the pair's.

    Raises TeacherError where the number of classes does not match.
    """
    data = load_pair(pair, image_side)
    if model.num_classes != len(data.id.classes):
        raise TeacherError(f"num_classes: {model.num_classes}; the pair {pair} has {len(data.id.classes)} classes")
    class_names = class_names or data.id.classes
    if len(class_names) != model.num_classes:
        raise TeacherError(f"class_names: {len(class_names)} names; expected {model.num_classes}, one an output")
    if wrong := [name for name in class_names if not 1 <= len(name) <= 80]:
        raise TeacherError(f"class_names: {wrong[0][:80]!r}: expected 1 to 80 characters a name")
    metrics = Evaluator(data, next(model.parameters()).device)(model)
    return TeacherCard(
        name=name,
        kind=kind,
        pair=pair,
        arch=arch,
        image_side=image_side,
        num_classes=model.num_classes,
        class_names=class_names,
        parameters=sum(p.numel() for p in model.parameters()),
        metrics={key: round(value, 2) for key, value in metrics.items()},
        test_images={"id": len(data.id.test), "ood": len(data.ood.test)},
        recipe=recipe,
        command=command,
    )
