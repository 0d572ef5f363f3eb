"""Command lines that do the same as actions in the app."""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from atesc_core.specs.base import field_paths
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import RunSpec

PROGRAM = "atesc"


def run_command(spec: RunSpec) -> str:
    """The command that starts a run with this spec."""
    preset = spec.preset if spec.preset in PRESETS else next(iter(PRESETS))
    started_from = from_preset(
        preset, spec.teacher, **{"synthesis.kind": spec.synthesis.kind, "escape.kind": spec.escape.kind}
    )
    arguments = [
        PROGRAM,
        "distill",
        "--teacher",
        spec.teacher,
        "--preset",
        preset,
        "--synthesizer",
        spec.synthesis.kind,
        "--escape",
        spec.escape.kind,
    ]
    values, preset_values = spec.model_dump(), started_from.model_dump()
    for path in field_paths(values):
        if path not in ("preset", "synthesis.kind", "escape.kind", "threshold_changes") and _at(values, path) != _at(
            preset_values, path
        ):
            arguments += ["--set", f"{path}={yaml.safe_dump(_at(values, path)).splitlines()[0]}"]
    for entry in spec.threshold_changes:
        arguments += ["--at", entry]
    return shlex.join(arguments)


def try_command(run_id: str, threshold: float, epochs: int, after: int) -> str:
    """The command that tries a threshold on the run ``run_id``, for ``epochs`` epochs after epoch ``after``."""
    return shlex.join(
        [PROGRAM, "try", run_id, "--threshold", f"{threshold:g}", "--epochs", str(epochs), "--after", str(after)]
    )


def _at(values: dict[str, Any], path: str) -> object:
    for name in path.split("."):
        values = values[name]
    return values
