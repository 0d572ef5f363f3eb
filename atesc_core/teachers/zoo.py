"""Teachers on disk: a safetensors file and a JSON card beside it. Files are data, never code."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from atesc_core.domains import PAIRS
from atesc_core.domains.offline import ASSETS
from atesc_core.models import ARCHITECTURES, Classifier, build
from atesc_core.spec import Spec, SpecError, parse
from atesc_core.teachers.training import TeacherRecipe

SHIPPED = ASSETS / "teachers"
MAX_FILE_BYTES = 512 * 1024**2
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class TeacherError(ValueError):
    """A teacher cannot be used; the message names what was wrong, and what was expected."""


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
        return PAIRS[self.pair].setting


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


def load_teacher(name: str, runs_dir: Path | None = None) -> Teacher:
    """Raises TeacherError where there is no such teacher, or its weights do not fit its card."""
    if not NAME.fullmatch(name):
        raise TeacherError(f"teacher: {name!r}: expected lower-case letters, digits, '-' and '_'")
    for folder in _folders(runs_dir):
        card_path = folder / f"{name}.json"
        if card_path.exists():
            card = _read_card(card_path)
            return Teacher(card, check_file(folder / f"{name}.safetensors", card.arch, card.num_classes))
    known = ", ".join(card.name for card in list_teachers(runs_dir))
    raise TeacherError(f"teacher: {name!r} is not known; expected one of {known}")


def check_file(path: Path, arch: str, num_classes: int | None = None) -> Classifier:
    """The file's weights in a classifier of ``arch``, frozen and in evaluation mode; nothing in it is executed.

    ``num_classes`` None reads it off the file. Raises TeacherError: unreadable, empty, oversize or
    pickled-code file, unlisted architecture, missing, unlisted or mis-shaped tensors, non-finite weights.
    """
    if arch not in ARCHITECTURES:
        raise TeacherError(f"arch: {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    state = _read_tensors(Path(path))
    if num_classes is None:
        head = state.get("head.weight")
        if head is None or head.ndim != 2:
            raise TeacherError(f"{Path(path).name}: no 'head.weight' of two dimensions; expected the keys of {arch}")
        num_classes = head.shape[0]
    if not 2 <= num_classes <= 10_000:
        raise TeacherError(f"{Path(path).name}: {num_classes} classes; expected 2 to 10000")
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in ARCHITECTURES[arch](num_classes).state_dict().items()}
    _check_shapes(Path(path).name, state, expected, arch)
    model = build(arch, num_classes)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise TeacherError(f"{path.name}: no such file")
    size = path.stat().st_size
    if size == 0:
        raise TeacherError(f"{path.name}: the file is empty; expected safetensors or a PyTorch state dict")
    if size > MAX_FILE_BYTES:
        raise TeacherError(f"{path.name}: {size / 1e6:,.0f} MB; expected at most {MAX_FILE_BYTES / 1e6:,.0f} MB")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise TeacherError(f"{path.name}: not a readable safetensors file ({error})") from None
    if path.suffix not in (".pt", ".pth"):
        raise TeacherError(f"{path.name}: expected a file ending in .safetensors, .pt or .pth")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types on hostile or damaged files; all mean the same here
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TeacherError(f"{path.name}: not a plain PyTorch state dict; it was not loaded, and nothing in it "
                           f"was run ({reason[:160]})") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise TeacherError(f"{path.name}: expected a dict of names to tensors")
    return state


def _check_shapes(name: str, state: dict[str, Tensor], expected: dict[str, tuple[int, ...]], arch: str) -> None:
    def some(keys: set[str]) -> str:
        return ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")

    if missing := expected.keys() - state.keys():
        raise TeacherError(f"{name}: not {arch}: missing {some(missing)}")
    if unlisted := state.keys() - expected.keys():
        raise TeacherError(f"{name}: not {arch}: unexpected {some(unlisted)}")
    for key, tensor in state.items():
        if tuple(tensor.shape) != expected[key]:
            raise TeacherError(f"{name}: {key} has shape {tuple(tensor.shape)}; {arch} expects {expected[key]}")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise TeacherError(f"{name}: {key} holds NaN or infinite values; expected finite weights")


def save_teacher(model: Classifier, card: TeacherCard, folder: Path) -> None:
    """Weights first, then the card, each renamed into place: a card on disk always has its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, text = folder / f"{card.name}.safetensors", folder / f"{card.name}.json"
    save_file({key: value.cpu().contiguous() for key, value in model.state_dict().items()}, f"{weights}.part")
    Path(f"{weights}.part").replace(weights)
    Path(f"{text}.part").write_text(card.model_dump_json(indent=1) + "\n")
    Path(f"{text}.part").replace(text)


def add_teacher(path: Path, name: str, arch: str, kind: Literal["SL", "NTL"], pair: str, image_side: int,
                runs_dir: Path) -> TeacherCard:
    """Check a user's file, measure it on its pair, and keep it under ``runs_dir``. Raises TeacherError."""
    if not NAME.fullmatch(name):
        raise TeacherError(f"name: {name!r}: expected lower-case letters, digits, '-' and '_', at most 64")
    if name in {card.name for card in list_teachers(runs_dir)}:
        raise TeacherError(f"name: {name!r} is taken; expected a new name")
    if pair not in PAIRS:
        raise TeacherError(f"pair: {pair!r} is not known; expected one of {', '.join(PAIRS)}")
    model = check_file(path, arch)
    card = measured_card(model, name, arch, kind, pair, image_side)
    save_teacher(model, card, Path(runs_dir) / "teachers")
    return card


def measured_card(model: Classifier, name: str, arch: str, kind: Literal["SL", "NTL"], pair: str, image_side: int,
                  recipe: TeacherRecipe | None = None, command: str = "") -> TeacherCard:
    """The card of ``model``, its accuracies measured now. Raises TeacherError where the classes do not match."""
    from atesc_core.distillation.evaluation import Evaluator
    from atesc_core.domains import load_pair

    data = load_pair(pair, image_side)
    if model.num_classes != len(data.id.classes):
        raise TeacherError(f"num_classes: {model.num_classes}; the pair {pair} has {len(data.id.classes)} classes")
    metrics = Evaluator(data, next(model.parameters()).device)(model)
    return TeacherCard(
        name=name, kind=kind, pair=pair, arch=arch, image_side=image_side, num_classes=model.num_classes,
        class_names=data.id.classes, parameters=sum(p.numel() for p in model.parameters()),
        metrics={key: round(value, 2) for key, value in metrics.items()},
        test_images={"id": len(data.id.test), "ood": len(data.ood.test)}, recipe=recipe, command=command,
    )
