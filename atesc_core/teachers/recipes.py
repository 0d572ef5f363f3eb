"""Recipes of the shipped teachers by name, and presets for a user's teachers. Needs no PyTorch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from atesc_core.domains import PAIRS
from atesc_core.errors import SpecError
from atesc_core.specs.command import PROGRAM
from atesc_core.specs.teacher import METHODS, PRESETS, TeacherRecipe, TeacherSpec
from atesc_core.teachers.cards import list_teachers

SIDES = (("", 16), ("-32", 32))

RECIPES: dict[str, TeacherRecipe] = {
    f"{pair.name}-{kind.lower()}{suffix}": TeacherRecipe(pair=pair.name, kind=kind, image_side=side)
    for suffix, side in SIDES
    for pair in PAIRS.values()
    for kind in ("SL", "NTL")
} | {
    f"{pair.name}-cuti{suffix}": TeacherRecipe(pair=pair.name, kind="NTL", method="cuti", image_side=side)
    for suffix, side in SIDES
    for pair in PAIRS.values()
    if pair.setting == "close"
}


def taken_names(runs_dir: Path | str, unless_made_by: TeacherSpec | None = None) -> set[str]:
    """Names that a new teacher cannot have. The name of the teacher that ``unless_made_by`` trained is free."""
    spec = unless_made_by
    cards = [
        card
        for card in list_teachers(Path(runs_dir))
        if spec is None or (card.name, card.recipe) != (spec.name, spec.recipe)
    ]
    return {card.name for card in cards} | RECIPES.keys()


def from_preset(preset: str, name: str, pair: str, method: str, **changes: Any) -> TeacherSpec:
    """The training that ``preset`` describes.

    Args:
        preset: One of PRESETS.
        name: Name of the teacher.
        pair: The pair that it is trained on.
        method: One of METHODS.
        changes: Fields of TeacherSpec that differ from the preset.

    Raises:
        SpecError: a setting is wrong.
        DomainError: the pair is not known.
    """
    if preset not in PRESETS:
        raise SpecError(f"preset: {preset!r} is not known; expected one of {', '.join(PRESETS)}")
    by_method: dict[str, dict[str, Any]] = {str(name): settings for name, settings in METHODS.items()}
    if method not in by_method:
        raise SpecError(f"method: {method!r} is not known; expected one of {', '.join(METHODS)}")
    fields: dict[str, Any] = by_method[method] | PRESETS[preset]
    spec = TeacherSpec(name="t", pair=pair, **fields)
    return spec.replaced({"name": name, **changes})


def command(spec: TeacherSpec) -> str:
    """The command that trains the teacher of this spec."""
    preset = spec.preset if spec.preset in PRESETS else next(iter(PRESETS))
    fields = spec.model_dump(exclude={"preset"})
    defaults = from_preset(preset, spec.name, spec.pair, spec.trained_by).model_dump()
    arguments = [PROGRAM, "teachers", "train", spec.name]
    arguments += ["--pair", spec.pair, "--method", spec.trained_by, "--preset", preset]
    for name, value in fields.items():
        arguments += ["--set", f"{name}={value}"] if value != defaults[name] else []
    return shlex.join(arguments)
