"""The card of a teacher: the facts about it, without its weights. Needs no PyTorch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from atesc_core.domains import find_pair, pair_warnings, read_pair
from atesc_core.errors import SpecError, TeacherError
from atesc_core.paths import ASSETS
from atesc_core.specs.base import PlainText, Spec, parse
from atesc_core.specs.teacher import NAME, TeacherRecipe
from atesc_core.specs.text import parse_json
from atesc_core.vocabulary import METRIC_NAMES, METRIC_ROLES, Setting

SHIPPED = ASSETS / "teachers"


class TeacherCard(Spec):
    """Facts about a teacher. Accuracies are per cent on the test sets of its pair."""

    name: str = Field(pattern=rf"^{NAME.pattern}$")
    kind: Literal["SL", "NTL"]
    pair: str
    arch: str
    image_side: int = Field(ge=8, le=256)
    num_classes: int = Field(ge=2, le=10_000)
    class_names: tuple[PlainText, ...]
    parameters: int = Field(ge=1)
    metrics: dict[str, float]
    test_images: dict[str, int] = Field(description="How many test images each accuracy is over: id, ood")
    recipe: TeacherRecipe | None = Field(None, description="How it was trained; None where a user's file did not say")
    command: str = Field("", description="The command that made it")

    @property
    def setting(self) -> Setting:
        """How the OOD domain of its pair differs from the ID domain."""
        return read_pair(self.pair).setting

    @field_validator("pair")
    @classmethod
    def _is_a_pair(cls, pair: str) -> str:
        read_pair(pair)
        return pair

    @field_validator("metrics")
    @classmethod
    def _are_of_both_domains(cls, metrics: dict[str, float]) -> dict[str, float]:
        if {METRIC_ROLES.get(name) for name in metrics} != {"id", "ood"}:
            raise ValueError("expected iacc and one of oacc, olacc, asr")
        return metrics

    @field_validator("test_images")
    @classmethod
    def _are_counted(cls, test_images: dict[str, int]) -> dict[str, int]:
        if test_images.keys() != {"id", "ood"}:
            raise ValueError("expected id and ood")
        return test_images


# Below twice the accuracy of guessing, or a tenth of the way from it to 100 %, a teacher has hardly learnt ID.
CHANCE_TIMES, CHANCE_SHARE = 2.0, 0.1
TRAPPED_SHARE = 50.0  # per cent of OOD images to which an NTL teacher gives its trap label, at the least
TRANSFERS = 0.7  # share of its ID accuracy that a close-set teacher which is not non-transferable keeps on OOD


def card_warnings(card: TeacherCard) -> list[str]:
    """Sentences on what in a teacher's pair and accuracies contradicts its card."""
    found = [f"{warning}." for warning in pair_warnings(find_pair(card.pair))]
    iacc = card.metrics["iacc"]
    chance = 100 / card.num_classes
    if iacc < min(CHANCE_TIMES * chance, chance + CHANCE_SHARE * (100 - chance)):
        found.append(
            f"IAcc {iacc:g} % is hardly better than chance ({chance:g} %): another pair, order of "
            "classes, image side, normalisation or architecture?"
        )
        return found
    transferable, texts = None, ""
    if "oacc" in card.metrics:
        transferable = card.metrics["oacc"] >= TRANSFERS * iacc
        texts = f"OAcc {card.metrics['oacc']:g} %, IAcc {iacc:g} %"
    elif (metric := next((name for name in ("olacc", "asr") if name in card.metrics), None)) is not None:
        transferable = card.metrics[metric] < TRAPPED_SHARE
        texts = f"{METRIC_NAMES[metric]} {card.metrics[metric]:g} %"
    if card.kind == "NTL" and transferable:
        found.append(f"Said to be non-transferable, but it does not behave so on OOD images ({texts}): is it SL?")
    if card.kind == "SL" and transferable is False and "oacc" not in card.metrics:
        found.append(f"Said to be plainly supervised, but it gives OOD images one label ({texts}): is it NTL?")
    return found


def list_teachers(runs_dir: Path | None = None) -> list[TeacherCard]:
    """Cards of the shipped teachers, then of the teachers added under ``runs_dir``, each sorted by name.

    A card that cannot be read is left out; `damaged_cards` names it.
    """
    return [card for card in _cards(runs_dir).values() if isinstance(card, TeacherCard)]


def damaged_cards(runs_dir: Path | None = None) -> dict[str, str]:
    """For each file of a card that cannot be read, its path and the reason."""
    return {str(path): str(card) for path, card in _cards(runs_dir).items() if isinstance(card, TeacherError)}


def _cards(runs_dir: Path | None) -> dict[Path, TeacherCard | TeacherError]:
    """The card in each file, or why it cannot be read."""
    cards: dict[Path, TeacherCard | TeacherError] = {}
    for folder in _folders(runs_dir):
        for path in sorted(folder.glob("*.json")):
            try:
                cards[path] = read_card(path)
            except TeacherError as error:
                cards[path] = error
    return cards


def find_card(name: str, runs_dir: Path | None = None) -> TeacherCard | None:
    """The card of the teacher ``name``; None if there is no such teacher.

    Raises:
        TeacherError: the card cannot be read.
    """
    path = existing_card(name, runs_dir)
    return None if path is None else read_card(path)


def read_card(path: Path) -> TeacherCard:
    """The card in a JSON file.

    Raises:
        TeacherError: the file is not the card of a teacher.
    """
    try:
        return parse(TeacherCard, parse_json(path.read_bytes(), "content"))
    except (OSError, SpecError) as error:
        raise TeacherError(f"card {path.name}: {error}") from None


def card_file(name: str, runs_dir: Path | None = None) -> Path:
    """Path of the card of the teacher ``name``. The weights are in the same folder, see `weights_file`.

    Raises:
        TeacherError: there is no such teacher.
    """
    if not NAME.fullmatch(name):
        raise TeacherError(f"teacher: {name!r} is not known; expected lower-case letters, digits, '-' and '_'")
    if (path := existing_card(name, runs_dir)) is not None:
        return path
    names = ", ".join(card.name for card in list_teachers(runs_dir))
    raise TeacherError(f"teacher: {name!r} is not known; expected one of {names}")


def weights_file(name: str, runs_dir: Path | None = None) -> Path:
    """Path of the weights of the teacher ``name``.

    Raises:
        TeacherError: there is no such teacher.
    """
    return card_file(name, runs_dir).with_suffix(".safetensors")


def fingerprint(name: str, runs_dir: Path | None = None) -> str:
    """A text that changes if the teacher changes for a student: it depends on its weights and its image side.

    Raises:
        TeacherError: there is no such teacher.
    """
    weights = hashlib.sha256(weights_file(name, runs_dir).read_bytes()).hexdigest()
    return f"{read_card(card_file(name, runs_dir)).image_side} {weights}"


def _folders(runs_dir: Path | None) -> list[Path]:
    return [SHIPPED] + ([Path(runs_dir) / "teachers"] if runs_dir else [])


def existing_card(name: str, runs_dir: Path | None) -> Path | None:
    """Path of the card if it exists, else None. An invalid name never becomes a path."""
    candidates = (folder / f"{name}.json" for folder in _folders(runs_dir) if NAME.fullmatch(name))
    return next((path for path in candidates if path.exists()), None)
