"""Teachers that are trained here: the shipped ones by name, and a user's own, as a run like any other."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from atesc_core.device import pick_device
from atesc_core.distillation.events import Event
from atesc_core.domains import PAIRS, find_pair
from atesc_core.domains.loading import load_pair
from atesc_core.errors import SpecError, TeacherError
from atesc_core.models import ARCHITECTURES
from atesc_core.specs.teacher import BETA, METHODS, PRESETS, TeacherRecipe, TeacherSpec
from atesc_core.teachers.train import images_a_step, steps_an_epoch, train_teacher
from atesc_core.teachers.zoo import SHIPPED, list_teachers, measured_card, save_teacher
from atesc_core.training.evaluation import Evaluator

SIDES = (("", 16), ("-32", 32))

RECIPES: dict[str, TeacherRecipe] = {
    f"{pair.name}-{kind.lower()}{suffix}": TeacherRecipe(
        pair=pair.name, kind=kind, image_side=side, beta=BETA[pair.setting]
    )
    for suffix, side in SIDES
    for pair in PAIRS.values()
    for kind in ("SL", "NTL")
} | {
    f"{pair.name}-cuti{suffix}": TeacherRecipe(pair=pair.name, kind="NTL", method="cuti", image_side=side)
    for suffix, side in SIDES
    for pair in PAIRS.values()
    if pair.setting == "close"
}


def train_shipped(name: str, device: torch.device, folder: Path = SHIPPED) -> Iterator[Event]:
    """Train the teacher ``name``, measure it, write weights and card into ``folder``; training's events.

    Raises TeacherError where no recipe has that name.
    """
    if name not in RECIPES:
        raise TeacherError(
            f"teacher: {name!r} has no recipe; expected one of {', '.join(RECIPES)}, "
            "or --pair for a teacher of your own"
        )
    return _trained(RECIPES[name], name, f"python -m atesc_core teachers train {name}", device, folder)


def train_own(spec: TeacherSpec, runs_dir: Path, resume: dict[str, Any] | None = None) -> Iterator[Event]:
    """Train the teacher that ``spec`` describes and add it to those under ``runs_dir``; training's events.

    ``resume`` is the state of a CheckpointReady of the same spec. Raises TeacherError where another teacher has its
    name by now, and what `check_spec` raises.
    """
    check_spec(spec, taken_names(runs_dir, besides=spec))
    return _trained(
        spec.recipe, spec.name, command(spec), pick_device(spec.device), Path(runs_dir) / "teachers", resume
    )


def _trained(
    recipe: TeacherRecipe,
    name: str,
    made_by: str,
    device: torch.device,
    folder: Path,
    resume: dict[str, Any] | None = None,
) -> Generator[Event]:
    data = load_pair(recipe.pair, recipe.image_side)
    model = yield from train_teacher(recipe, data, device, Evaluator(data, device), resume)
    card = measured_card(model, name, recipe.arch, recipe.kind, recipe.pair, recipe.image_side, recipe, made_by)
    save_teacher(model, card, folder)


# ── a teacher of the user's own ─────────────────────────────────────────────────────────────────────


def taken_names(runs_dir: Path | str, besides: TeacherSpec | None = None) -> set[str]:
    """Names that a new teacher cannot have. ``besides``: the teacher that this very spec made does not count."""
    theirs = {
        card.name
        for card in list_teachers(runs_dir)
        if besides is None or (card.name, card.recipe) != (besides.name, besides.recipe)
    }
    return theirs | RECIPES.keys()


def check_spec(spec: TeacherSpec, taken: Collection[str]) -> int:
    """Refuse at once what would fail later; returns how many images an epoch learns from.

    Raises TeacherError, DomainError or ValueError: the name is taken; the architecture, pair or device is not there;
    the pair's images are not downloaded; the method or the batch does not fit the pair.
    """
    if spec.name in taken:
        raise TeacherError(f"name: {spec.name!r} is taken; expected a new name")
    if spec.arch not in ARCHITECTURES:
        raise TeacherError(f"arch: {spec.arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    pick_device(spec.device)
    return steps_an_epoch(spec, load_pair(spec.pair, spec.image_side)) * images_a_step(spec)


def from_preset(preset: str, name: str, pair: str, method: str, **changes: Any) -> TeacherSpec:
    """The training that ``preset`` describes; ``changes`` are fields. Raises SpecError, DomainError."""
    for field, value, known in (("preset", preset, PRESETS), ("method", method, METHODS)):
        if value not in known:
            raise SpecError(f"{field}: {value!r} is not known; expected one of {', '.join(known)}")
    beta = {"beta": BETA[find_pair(pair).setting]} if preset == "quick" else {}
    spec = TeacherSpec(name="t", pair=pair, **METHODS[method], **PRESETS[preset], **beta)
    return spec.replaced({"name": name, **changes})


def command(spec: TeacherSpec) -> str:
    """What to type to train this very teacher."""
    preset = spec.preset if spec.preset in PRESETS else next(iter(PRESETS))
    mine = spec.model_dump(exclude={"preset"})
    theirs = from_preset(preset, spec.name, spec.pair, spec.trained_by).model_dump()
    words = [
        "python",
        "-m",
        "atesc_core",
        "teachers",
        "train",
        spec.name,
        "--pair",
        spec.pair,
        "--method",
        spec.trained_by,
        "--preset",
        preset,
    ]
    for name, value in mine.items():
        words += ["--set", f"{name}={value}"] if value != theirs[name] else []
    return shlex.join(words)
