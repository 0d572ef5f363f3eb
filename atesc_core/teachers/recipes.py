"""The shipped teachers, by name, and the command that makes one: ``python -m atesc_core teachers train NAME``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from atesc_core.domains import PAIRS, load_pair
from atesc_core.teachers.files import TeacherError
from atesc_core.teachers.training import TeacherEpochDone, TeacherRecipe, train_teacher
from atesc_core.teachers.zoo import SHIPPED, measured_card, save_teacher

# Measured, close-set at 16×16: β = 0.1 leaves 1 % of OOD images robust at ε = 4/255 and β = 1 52 %; 0.3 gives 75 %.
BETA = {"close": 0.3, "open": 0.1, "backdoor": 0.1}
SIDES = (("", 16), ("-32", 32))

RECIPES: dict[str, TeacherRecipe] = {
    f"{pair.name}-{kind.lower()}{suffix}":
        TeacherRecipe(pair=pair.name, kind=kind, image_side=side, beta=BETA[pair.setting])
    for suffix, side in SIDES for pair in PAIRS.values() for kind in ("SL", "NTL")
} | {
    f"{pair.name}-cuti{suffix}": TeacherRecipe(pair=pair.name, kind="NTL", method="cuti", image_side=side)
    for suffix, side in SIDES for pair in PAIRS.values() if pair.setting == "close"
}


def train_shipped(name: str, device: torch.device, folder: Path = SHIPPED) -> Iterator[TeacherEpochDone]:
    """Train the teacher ``name``, measure it, write weights and card into ``folder``; one event an epoch.

    Raises TeacherError where no recipe has that name.
    """
    if name not in RECIPES:
        raise TeacherError(f"teacher: {name!r} has no recipe; expected one of {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    event = None
    for event in train_teacher(recipe, load_pair(recipe.pair, recipe.image_side), device):
        yield event
    card = measured_card(event.model.eval(), name, recipe.arch, recipe.kind, recipe.pair, recipe.image_side,
                         recipe, f"python -m atesc_core teachers train {name}")
    save_teacher(event.model, card, folder)
