"""Teachers on disk: a safetensors file and a JSON card beside it. Files are data, never code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field
from safetensors.torch import save_file

from atesc_core.domains import find_pair
from atesc_core.errors import DomainError, SpecError, TeacherError
from atesc_core.models import Classifier
from atesc_core.paths import ASSETS
from atesc_core.specs.base import Spec, parse
from atesc_core.specs.teacher import NAME, TeacherRecipe
from atesc_core.teachers.formats import check_file, recognise

SHIPPED = ASSETS / "teachers"


class TeacherCard(Spec):
    """What is known of a teacher. Accuracies are per cent on the test sets of its pair."""

    name: str = Field(pattern=rf"^{NAME.pattern}$")
    kind: Literal["SL", "NTL"]
    pair: str
    arch: str
    image_side: int = Field(ge=8, le=256)
    num_classes: int = Field(ge=2, le=10_000)
    class_names: tuple[str, ...]
    parameters: int = Field(ge=1)
    metrics: dict[str, float]
    test_images: dict[str, int] = Field(description="How many test images each accuracy is over: id, ood")
    recipe: TeacherRecipe | None = Field(None, description="How it was trained; None where a user's file did not say")
    command: str = Field("", description="The command that made it")

    @property
    def setting(self) -> str:
        return find_pair(self.pair).setting


@dataclass(frozen=True)
class Teacher:
    card: TeacherCard
    model: Classifier  # in evaluation mode, without gradients


def _folders(runs_dir: Path | None) -> list[Path]:
    return [SHIPPED] + ([Path(runs_dir) / "teachers"] if runs_dir else [])


def _read_card(path: Path) -> TeacherCard:
    try:
        return parse(TeacherCard, json.loads(path.read_text()))
    except (json.JSONDecodeError, SpecError) as error:
        raise TeacherError(f"card {path.name}: {error}") from None


def list_teachers(runs_dir: Path | None = None) -> list[TeacherCard]:
    """Cards of the shipped teachers, then of those added under ``runs_dir``, by name."""
    return [_read_card(path) for folder in _folders(runs_dir) for path in sorted(folder.glob("*.json"))]


def find_card(name: str, runs_dir: Path | None = None) -> TeacherCard | None:
    """A teacher's card, without its weights; None where there is no such teacher. Raises TeacherError."""
    path = _card_file(name, runs_dir)
    return None if path is None else _read_card(path)


def load_teacher(name: str, runs_dir: Path | None = None) -> Teacher:
    """Raises TeacherError where there is no such teacher, or its weights do not fit its card."""
    card_path = _card_path(name, runs_dir)
    card = _read_card(card_path)
    return Teacher(card, check_file(card_path.with_suffix(".safetensors"), card.arch, card.num_classes))


def fingerprint(name: str, runs_dir: Path | None = None) -> str:
    """Of what a student can see of a teacher: its weights and its images' size. Raises TeacherError."""
    card_path = _card_path(name, runs_dir)
    weights = hashlib.sha256(card_path.with_suffix(".safetensors").read_bytes()).hexdigest()
    return f"{_read_card(card_path).image_side} {weights}"


def _card_file(name: str, runs_dir: Path | None) -> Path | None:
    """Names that cannot be a teacher's never become a path."""
    places = (folder / f"{name}.json" for folder in _folders(runs_dir) if NAME.fullmatch(name))
    return next((path for path in places if path.exists()), None)


def _card_path(name: str, runs_dir: Path | None) -> Path:
    """Raises TeacherError."""
    if not NAME.fullmatch(name):
        raise TeacherError(f"teacher: {name!r}: expected lower-case letters, digits, '-' and '_'")
    if (path := _card_file(name, runs_dir)) is not None:
        return path
    known = ", ".join(card.name for card in list_teachers(runs_dir))
    raise TeacherError(f"teacher: {name!r} is not known; expected one of {known}")


def save_teacher(model: Classifier, card: TeacherCard, folder: Path) -> None:
    """Weights first, then the card, each renamed into place: a card on disk always has its weights."""
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
    from atesc_core.domains.loading import load_pair
    from atesc_core.training.evaluation import Evaluator

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
