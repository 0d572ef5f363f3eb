"""Artificial rows of a study's results."""

from __future__ import annotations

import json
from pathlib import Path

from atesc_core.domains import find_pair
from atesc_core.study import PlannedRun
from atesc_core.teachers import find_card, fingerprint


def row(cell: PlannedRun, iacc: float, other: float, **fields) -> dict:
    """The row of one planned run. ``other``: its metric on OOD images; ``fields`` replace other fields."""
    metrics = {"iacc": iacc, find_pair(cell.pair).metric: other}
    return {
        "spec": cell.spec.model_dump(mode="json"),
        "images_from": "test",
        "weights": fingerprint(cell.spec.teacher) if find_card(cell.spec.teacher) else None,
        "metrics": metrics,
        "recalls": [],
        "trap_label": None,
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
