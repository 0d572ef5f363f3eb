"""Artificial rows of a study's results."""

from __future__ import annotations

import json
from pathlib import Path

from atesc_core.study import PlannedRun

METRIC = {"mnistm-fashion": "olacc", "mnistm-badnet_sq": "asr", "mnistm-mnist": "oacc"}


def row(cell: PlannedRun, iacc: float, other: float, **fields) -> dict:
    """The row of one planned run. ``other``: its metric on OOD images; ``fields`` replace other fields."""
    metrics = {"iacc": iacc, METRIC[cell.pair]: other}
    return {
        "spec": cell.spec.model_dump(mode="json"),
        "metrics": metrics,
        "curve": [metrics],
        "threshold": None,
        "images": {"id": 1000, "ood": 891},
        "device": "abacus",
        "seconds": 60.0,
        "torch": "2.0",
        **fields,
    }


def write(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


STUDY_SETTINGS = {
    "device": "cpu",
    "epochs": 2,
    "rounds": 2,
    "student_steps": 1,
    "batch_size": 8,
    "snapshot_images": 8,
    "synthesis.steps": 1,
    "synthesis.width": 4,
    "split.steps": 1,
    "split.threshold": "auto",
    "escape.warmup_epochs": 1,
}
