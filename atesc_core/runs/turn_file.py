"""The last traced turn of a run, as a file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from atesc_core.distillation.turns import GeneratorTurn, StudentTurn, Turn
from atesc_core.files import atomic_write

TURNS: dict[str, type[Turn]] = {turn.who: turn for turn in (GeneratorTurn, StudentTurn)}


def save_turn(turn: Turn, path: Path) -> None:
    """Write the turn's fields as arrays; an entry of a dict is named ``field/key``, and None is left out."""
    arrays: dict[str, Any] = {"who": turn.who}
    for field in fields(turn):
        value = getattr(turn, field.name)
        if isinstance(value, dict):
            arrays |= {f"{field.name}/{key}": item for key, item in value.items()}
        elif value is not None:
            arrays[field.name] = value
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def load_turn(path: Path) -> Turn:
    """The turn in a file that ``save_turn`` wrote. Raises FileNotFoundError."""
    values: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name, array in arrays.items():
            field, _, key = name.partition("/")
            value = array if array.ndim else array.item()
            if key:
                values.setdefault(field, {})[key] = value
            else:
                values[field] = value
    return TURNS[values.pop("who")](**values)
