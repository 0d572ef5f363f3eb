"""Command lines that do the same as actions in the app."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import yaml

from atesc_core.specs.presets import PRESETS, changed_by_hand
from atesc_core.specs.run import RunSpec

PROGRAM = "atesc"


def run_command(spec: RunSpec) -> str:
    """The command that starts a run with this spec."""
    preset = spec.preset if spec.preset in PRESETS else next(iter(PRESETS))
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
    for path, value in changed_by_hand(spec, preset).items():
        arguments += _set(path, value)
    return shlex.join(arguments + _at(spec))


def sweep_command(base: RunSpec, varied: Sequence[str], group: str | None = None) -> str:
    """The command that queues the runs of ``sweep(base, varied)`` as the group of this name."""
    preset = base.preset if base.preset in PRESETS else next(iter(PRESETS))
    kinds = {"synthesis.kind": base.synthesis.kind, "escape.kind": base.escape.kind}
    arguments = [PROGRAM, "sweep", base.teacher, "--preset", preset]
    for path, value in (kinds | changed_by_hand(base, preset)).items():
        arguments += _set(path, value)
    for text in varied:
        arguments += ["--vary", text]
    return shlex.join(arguments + _at(base) + (["--name", group] if group else []))


def try_command(run_id: str, threshold: float, epochs: int, after: int) -> str:
    """The command that tries a threshold on the run ``run_id``, for ``epochs`` epochs after epoch ``after``."""
    return shlex.join(
        [PROGRAM, "try", run_id, "--threshold", f"{threshold:g}", "--epochs", str(epochs), "--after", str(after)]
    )


def _set(path: str, value: object) -> list[str]:
    """The arguments that set a field."""
    return ["--set", f"{path}={yaml.safe_dump(value).splitlines()[0]}"]


def _at(spec: RunSpec) -> list[str]:
    """The arguments that set the thresholds that were set by hand."""
    return [argument for entry in spec.threshold_changes for argument in ("--at", entry)]
