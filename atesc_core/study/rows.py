"""The rows file: every finished run of all studies with its whole spec, one JSON object per line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from atesc_core.errors import SpecError, TeacherError
from atesc_core.paths import HOME
from atesc_core.specs.base import parse
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import fingerprint
from atesc_core.vocabulary import threshold_json

if TYPE_CHECKING:
    from atesc_core.distillation.events import Event
    from atesc_core.distillation.loop import Controls
    from atesc_core.models import Classifier
    from atesc_core.training.events import Measured

DOCS = HOME / "docs"
ROWS = DOCS / "rows.jsonl"
DEVELOPMENT_ROWS = DOCS / "development.jsonl"
DEVELOPMENT_TEACHERS = DOCS / "teachers"
Images = Literal["validation", "test"]
FIELDS_WITHOUT_EFFECT = ("preset", "snapshot_images")  # on a run's outcome


def outcome_key(spec: RunSpec, images_from: str = "test") -> Hashable:
    """What determines a row: fields of the spec, and the images that the student was measured on.

    The settings of split and escape do not count for a plain run.
    """
    unused = ("split", "escape") if spec.escape.kind == "none" else ()
    return images_from, spec.model_copy(update=dict.fromkeys((*FIELDS_WITHOUT_EFFECT, *unused)))


def read_rows(file: Path, runs_dir: Path | None = None) -> dict[Hashable, dict[str, Any]]:
    """Rows of a file by their ``outcome_key``; of rows with equal keys the first. Empty without a file.

    A row is skipped if its spec is not valid any more, or if the teacher of that name now has other weights. Teachers
    that are not on this machine (shipped, or under ``runs_dir``) cannot be compared.

    Raises:
        ValueError: A line is not a row.
    """
    rows: dict[Hashable, dict[str, Any]] = {}
    weights = cache(partial(_weights, runs_dir=runs_dir))
    for number, line in enumerate(file.read_text().splitlines() if file.exists() else (), 1):
        try:
            row = json.loads(line)
            spec = parse(RunSpec, row["spec"], stored=True)
            if weights(spec.teacher) in (None, row.get("weights")):
                rows.setdefault(outcome_key(spec, row["images_from"]), row)
        except SpecError:
            continue
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file}, line {number}: {line[:60]!r}: expected a run as a JSON object ({error})"
            ) from None
    return rows


def _weights(teacher: str, runs_dir: Path | None) -> str | None:
    """Fingerprint of the teacher; None if it is not on this machine."""
    try:
        return fingerprint(teacher, runs_dir)
    except TeacherError:
        return None


def append_row(row: dict[str, Any], file: Path) -> None:
    """Add a row to the file; several processes may do so at once."""
    with FileLock(f"{file}.lock"), file.open("a") as out:
        out.write(json.dumps(row) + "\n")


@dataclass(frozen=True)
class MeasuredOn:
    """Where the students of a row are computed, and on how many images they are measured."""

    device: str
    torch: str
    images: tuple[dict[str, int], ...]  # of each spec: "id" and "ood"


@dataclass(frozen=True)
class StudentMeasured:
    """What was measured at the end of an epoch, for each spec."""

    epoch: int
    measured: tuple[Measured, ...]


def measured_events(
    specs: Sequence[RunSpec],
    images_from: Images,
    runs_dir: Path | None = None,
    controls: Controls | None = None,
    resume: dict[str, Any] | None = None,
) -> Iterator[Event | MeasuredOn | StudentMeasured]:
    """The events of a student that is measured on the pair of each spec's teacher.

    MeasuredOn comes first, and StudentMeasured after each epoch. For the arguments, see `run_and_measure` and
    `distill`. The teachers have been read when it returns.
    """
    import torch

    from atesc_core.device import describe, pick_device, use_threads
    from atesc_core.distillation.loop import distill
    from atesc_core.domains.loading import load_pair
    from atesc_core.teachers.zoo import load_teacher
    from atesc_core.training.evaluation import Evaluator
    from atesc_core.training.events import EpochDone

    device = pick_device(specs[0].device)
    use_threads(specs[0].threads)
    teachers = [load_teacher(spec.teacher, runs_dir) for spec in specs]
    evaluators = [
        Evaluator(load_pair(teacher.card.pair, teacher.card.image_side), device, images_from, teacher.model)
        for teacher in teachers
    ]
    measured: tuple[Measured, ...] = ()

    def evaluate(student: Classifier) -> Measured:
        nonlocal measured
        measured = tuple(evaluator(student) for evaluator in evaluators)
        return measured[0]

    def events() -> Iterator[Event | MeasuredOn | StudentMeasured]:
        images = tuple({"id": len(evaluator.id), "ood": len(evaluator.ood)} for evaluator in evaluators)
        yield MeasuredOn(describe(device).summary, torch.__version__, images)
        for event in distill(specs[0], teachers[0], evaluate, controls, resume):
            yield event
            if isinstance(event, EpochDone):
                yield StudentMeasured(event.epoch, measured)

    return events()


def run_and_measure(
    specs: Sequence[RunSpec],
    runs_dir: Path | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    images_from: Images = "test",
    events: Iterator[Event | MeasuredOn | StudentMeasured] | None = None,
) -> list[dict[str, Any]]:
    """Distil one student to the last epoch and measure it on the pair of each spec's teacher.

    Args:
        specs: Specs that differ only in the teacher's name, as ``plan.group_by_student`` groups them.
        runs_dir: The folder of runs, with the teachers that were added on this machine.
        on_epoch: Called with the number of each finished epoch.
        images_from: The real images that it is measured on.
        events: `measured_events` of these from another machine; computed here unless given. Those of an epoch may
            come again.

    Returns:
        A row for each spec.
    """
    from atesc_core.distillation.events import ThresholdChanged, TrapSought

    started, threshold = time.monotonic(), None
    trap: dict[str, Any] | None = None  # with twin synthesis: what is known about a trap
    curve: dict[int, tuple[Measured, ...]] = {}  # by epoch
    place = MeasuredOn("", "", ())
    for event in events or measured_events(specs, images_from, runs_dir):
        if isinstance(event, MeasuredOn):
            place, started = event, time.monotonic() if not curve else started
        elif isinstance(event, ThresholdChanged):
            threshold = event.threshold
        elif isinstance(event, TrapSought):
            trap = asdict(event.evidence) | {"is_trap": event.evidence.is_trap}
        elif isinstance(event, StudentMeasured):
            curve[event.epoch] = event.measured
            on_epoch(event.epoch)
    seconds = round(time.monotonic() - started, 1)
    last = curve[max(curve)]
    return [
        {
            "spec": spec.model_dump(mode="json"),
            "images_from": images_from,
            "weights": fingerprint(spec.teacher, runs_dir),
            "metrics": _rounded(last[number].metrics),
            "recalls": [recall and round(recall, 1) for recall in last[number].recalls],
            "trap_label": last[number].trap_label,
            "curve": [_rounded(measured[number].metrics) for measured in curve.values()],
            "threshold": threshold_json(threshold),
            "trap": trap,
            "images": place.images[number],
            "device": place.device,
            "seconds": seconds,
            "torch": place.torch,
            "with": [measured.teacher for measured in specs if measured is not spec],
        }
        for number, spec in enumerate(specs)
    ]


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in metrics.items()}


def expected_seconds(spec: RunSpec, rows: list[dict[str, Any]]) -> float | None:
    """Mean seconds of runs with the same synthesizer and escape, else with the same preset; None without such runs."""
    same_preset = [row for row in rows if row["spec"]["preset"] == spec.preset]
    same_methods = [
        row
        for row in same_preset
        if row["spec"]["synthesis"]["kind"] == spec.synthesis.kind and row["spec"]["escape"]["kind"] == spec.escape.kind
    ]
    return mean(row["seconds"] for row in same_methods or same_preset) if same_preset else None
