"""The rows file: every finished run of all studies with its whole spec, one JSON object per line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from atesc_core.errors import SpecError
from atesc_core.paths import HOME
from atesc_core.specs.base import parse
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import threshold_json

if TYPE_CHECKING:
    from atesc_core.models import Classifier

DOCS = HOME / "docs"
ROWS = DOCS / "rows.jsonl"
FIELDS_WITHOUT_EFFECT = ("preset", "snapshot_images")  # on a run's outcome


def outcome_key(spec: RunSpec) -> Hashable:
    """The fields that determine a run's outcome; for a plain run without the settings of split and escape."""
    unused = ("split", "escape") if spec.escape.kind == "none" else ()
    return spec.model_copy(update=dict.fromkeys((*FIELDS_WITHOUT_EFFECT, *unused)))


def read_rows(file: Path) -> dict[Hashable, dict[str, Any]]:
    """Rows of a file by the ``outcome_key`` of their spec; of rows with equal keys the first. Empty without a file.

    A row whose spec is not valid any more is skipped.

    Raises:
        ValueError: A line is not a row.
    """
    rows: dict[Hashable, dict[str, Any]] = {}
    for number, line in enumerate(file.read_text().splitlines() if file.exists() else (), 1):
        try:
            row = json.loads(line)
            rows.setdefault(outcome_key(parse(RunSpec, row["spec"])), row)
        except SpecError:
            continue
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file}, line {number}: {line[:60]!r}: expected a run as a JSON object ({error})"
            ) from None
    return rows


def append_row(row: dict[str, Any], file: Path) -> None:
    """Add a row to the file; several processes may do so at once."""
    with FileLock(f"{file}.lock"), file.open("a") as out:
        out.write(json.dumps(row) + "\n")


def run_and_measure(
    specs: Sequence[RunSpec], runs_dir: Path | None = None, on_epoch: Callable[[int], None] = lambda epoch: None
) -> list[dict[str, Any]]:
    """Distil one student to the last epoch and measure it on the pair of each spec's teacher.

    Args:
        specs: Specs that differ only in the teacher's name, as ``plan.group_by_student`` groups them.
        runs_dir: The folder of runs, with the teachers that were added on this machine.
        on_epoch: Called with the number of each finished epoch.

    Returns:
        A row for each spec.
    """
    import torch

    from atesc_core.device import describe, pick_device
    from atesc_core.distillation.events import ThresholdChanged
    from atesc_core.distillation.loop import distill
    from atesc_core.domains.loading import load_pair
    from atesc_core.teachers.zoo import load_teacher
    from atesc_core.training.evaluation import Evaluator
    from atesc_core.training.events import EpochDone

    device = pick_device(specs[0].device)
    teachers = [load_teacher(spec.teacher, runs_dir) for spec in specs]
    evaluators = [Evaluator(load_pair(teacher.card.pair, teacher.card.image_side), device) for teacher in teachers]
    started, threshold = time.monotonic(), None
    curves: list[list[dict[str, float]]] = [[] for _ in specs]

    def evaluate(student: Classifier) -> dict[str, float]:
        for curve, evaluator in zip(curves, evaluators, strict=True):
            curve.append({name: round(value, 2) for name, value in evaluator(student).items()})
        return curves[0][-1]

    for event in distill(specs[0], teachers[0], evaluate):
        if isinstance(event, ThresholdChanged):
            threshold = event.threshold
        elif isinstance(event, EpochDone):
            on_epoch(event.epoch)
    seconds = round(time.monotonic() - started, 1)
    return [
        {
            "spec": spec.model_dump(mode="json"),
            "metrics": curve[-1],
            "curve": curve,
            "threshold": threshold_json(threshold),
            "images": {"id": len(evaluator.id), "ood": len(evaluator.ood)},
            "device": describe(device).summary,
            "seconds": seconds,
            "torch": torch.__version__,
            "with": [measured.teacher for measured in specs if measured is not spec],
        }
        for spec, curve, evaluator in zip(specs, curves, evaluators, strict=True)
    ]


def expected_seconds(spec: RunSpec, rows: list[dict[str, Any]]) -> float | None:
    """Mean seconds of runs with the same synthesizer and escape, else with the same preset; None without such runs."""
    same_preset = [row for row in rows if row["spec"]["preset"] == spec.preset]
    same_methods = [
        row
        for row in same_preset
        if row["spec"]["synthesis"]["kind"] == spec.synthesis.kind and row["spec"]["escape"]["kind"] == spec.escape.kind
    ]
    return mean(row["seconds"] for row in same_methods or same_preset) if same_preset else None
