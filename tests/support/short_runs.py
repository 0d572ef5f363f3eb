"""Specs of runs that take a second or less, with a shipped teacher, for every synthesizer."""

from __future__ import annotations

from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec

SHORT = {
    "device": "cpu",
    "epochs": 3,
    "rounds": 2,
    "student_steps": 2,
    "batch_size": 24,
    "snapshot_images": 16,
    "synthesis.width": 8,
    "split.steps": 2,
    "split.threshold": 1.0,
    "escape.warmup_epochs": 1,
}

POOLED = {"synthesis.batch_size": 24, "synthesis.width": 8, "synthesis.steps": 2, "synthesis.pool": 60}
SHORT_SYNTHESIS = {
    "dfq": {},
    "cmi": {
        "synthesis.kind": "cmi",
        **POOLED,
        "synthesis.bank": 60,
        "synthesis.negatives": 16,
        "synthesis.head": 8,
        "synthesis.latent": 8,
    },
    "nayer": {"synthesis.kind": "nayer", **POOLED, "synthesis.noise": 8},
}


def short_run(**changes) -> RunSpec:
    return from_preset(
        "quick", "mnistm-badnet_sq-ntl", **{**SHORT, **SHORT_SYNTHESIS[changes.get("synthesis.kind", "dfq")], **changes}
    )


SMALLEST_POOLED = {"synthesis.batch_size": 16, "synthesis.width": 8, "synthesis.steps": 2, "synthesis.pool": 40}

SMALLEST_SYNTHESIS = {
    "dfq": {"synthesis.width": 8, "synthesis.steps": 1},
    "cmi": {
        **SMALLEST_POOLED,
        "synthesis.bank": 40,
        "synthesis.negatives": 8,
        "synthesis.latent": 8,
        "synthesis.head": 8,
    },
    "nayer": {**SMALLEST_POOLED, "synthesis.noise": 8},
}
