"""Presets: named sets of settings for a kind of synthesizer, and a run's specification that starts from one."""

from __future__ import annotations

from typing import Any

from atesc_core.errors import SpecError
from atesc_core.specs.base import field_values
from atesc_core.specs.run import RunSpec

# quick is for two CPU cores: this lab's choices. full is what is published, see run.py; what differs from it is said in
# the field's description.
QUICK: dict[str, Any] = {"preset": "quick", "epochs": 8, "snapshot_images": 128}
FULL: dict[str, Any] = {"preset": "full", "epochs": 200, "snapshot_images": 512, "threads": 4}

# CMI and NAYER make many images per call and store them, so many steps of the student follow a call. The shipped pairs
# of quick are digits, which are not mirrored.
POOLED_QUICK: dict[str, Any] = {
    "rounds": 4,
    "student_steps": 25,
    "temperature": 20.0,
    "synthesis.batch_size": 96,
    "synthesis.width": 48,
    "synthesis.flip": False,
    "synthesis.pool": 4096,
}
POOLED_FULL: dict[str, Any] = {"rounds": 1, "student_steps": 400, "temperature": 20.0}

# By preset and synthesis.kind.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "dfq": QUICK
        | {"rounds": 20, "synthesis.steps": 3, "synthesis.lr": 3e-3, "synthesis.latent": 128, "synthesis.width": 48},
        "cmi": QUICK
        | POOLED_QUICK
        | {
            "synthesis.steps": 15,
            "synthesis.lr": 1e-2,
            "synthesis.bank": 4096,
            "synthesis.negatives": 512,
            "synthesis.latent": 128,
        },
        # in so few steps, the published weights fit the statistics but not the labels: CE stays above log C
        "nayer": QUICK
        | POOLED_QUICK
        | {
            "synthesis.steps": 15,
            "synthesis.loops": 1,
            "synthesis.warmup_loops": 1,
            "synthesis.warmup_epochs": 2,
            "synthesis.noise": 128,
            "synthesis.lr": 1e-2,
            "synthesis.bn": 2.0,
            "synthesis.onehot": 2.0,
        },
    },
    "full": {
        "dfq": FULL | {"rounds": 40, "student_steps": 10, "batch_size": 256},
        "cmi": FULL | POOLED_FULL | {"batch_size": 128},
        # 220 epochs: 20 of warm-up and 200 more. They make 20 × 10 + 200 × 2 batches of 400 images.
        "nayer": FULL | POOLED_FULL | {"epochs": 220, "batch_size": 512, "lr": 0.2, "synthesis.pool": 240_000},
    },
}


def from_preset(preset: str, teacher: str, /, **changes: Any) -> RunSpec:
    """The spec of a run with the settings of a preset.

    Args:
        preset: a name in PRESETS.
        teacher: name of the teacher.
        changes: dotted fields; ``synthesis.kind`` (dfq by default) also chooses the preset's values.

    Raises:
        SpecError: the preset or a field is unknown, or a value is not allowed.
    """
    if preset not in PRESETS:
        raise SpecError(f"preset: {preset!r} is not known; expected one of {', '.join(PRESETS)}")
    kind = changes.get("synthesis.kind", "dfq")
    spec = RunSpec(teacher=teacher).replaced({"synthesis.kind": kind} | PRESETS[preset].get(kind, {}))
    return spec.replaced(changes)


def changed_by_hand(spec: RunSpec, preset: str) -> dict[str, Any]:
    """Dotted field -> value of the settings that differ from the preset with the spec's synthesizer and escape.

    Without ``threshold_changes``. Raises SpecError if the preset is unknown.
    """
    kinds = {"synthesis.kind": spec.synthesis.kind, "escape.kind": spec.escape.kind}
    values = field_values(spec.model_dump())
    start = field_values(from_preset(preset, spec.teacher, **kinds).model_dump())
    return {
        path: value
        for path, value in values.items()
        if path not in ("preset", "threshold_changes") and value != start[path]
    }
