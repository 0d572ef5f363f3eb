"""What a run will cost here."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards

LATEST = 12  # runs of the same kind that are asked how fast they went


def run_seconds(
    spec: RunSpec,
    device: str | None,
    side: int,
    sides: dict[str, int],
    runs: Iterable[DistillationRun],
    after: int = 0,
    until: int | None = None,
) -> float | None:
    """How long the run would take at the speed of earlier ones that did the same work; None: nobody did yet.

    device: in words, as runs name it. side: the teacher's image side; sides: that of every known teacher.
    runs: the earlier ones, newest first. after, until: of the epochs after the one up to the other only.
    """
    last = until or spec.epochs
    split = max(0, last - max(after, spec.escape.warmup_epochs)) if spec.escape.splits else 0
    plain = last - after - split
    alike = [
        run
        for run in runs
        if run.device == device and sides.get(run.spec.teacher) == side and _step(run.spec) == _step(spec)
    ]
    plain_s = _per_image(alike, split=False, like=spec) if plain else 0.0
    split_s = _per_image(alike, split=True, like=spec) if split else 0.0
    if plain_s is None:
        plain_s = split_s or None  # a split epoch does all that a plain one does: at most this
    if plain_s is None or split_s is None:
        return None
    return _an_epoch(spec) * (plain * plain_s + split * split_s)


def training_image_count(spec: RunSpec, epochs: int | None = None) -> int:
    """Synthetic images that the student learns from, in so many epochs or the whole run."""
    return (epochs or spec.epochs) * _an_epoch(spec)


def _an_epoch(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


def _per_image(runs: list[DistillationRun], split: bool, like: RunSpec) -> float | None:
    """Seconds an image of the student's, the epoch's end included: the median over whole epochs, so that a
    pause does not count. None: no such epoch was timed."""
    if split:
        runs = [run for run in runs if run.spec.escape.splits and _attack(run.spec) == _attack(like)]
    timed = []
    for run in runs[:LATEST]:
        epochs = run_store().epochs(run.id)
        warmup = run.spec.escape.warmup_epochs if run.spec.escape.splits else run.epochs
        took = (epochs["time"].diff() / epochs["images"].diff())[(epochs["epoch"] > warmup) == split]
        timed += took.dropna().tolist()
    return median(timed) if timed else None


def _step(spec: RunSpec) -> tuple:
    """What decides how long an image takes, the attack aside."""
    return (spec.student, spec.batch_size, spec.student_steps, spec.synthesis, spec.escape.kind == "abd")


def _attack(spec: RunSpec) -> tuple:
    return (spec.split.score, spec.split.steps, spec.escape.kind)


def estimated_seconds(spec: RunSpec, after: int = 0, until: int | None = None) -> float | None:
    """Seconds, at the speed of earlier runs on this machine's device. after, until: of the epochs between only."""
    here, known = machine(), cards()
    if here is None or spec.teacher not in known or spec.device not in ("auto", here.kind):
        return None
    sides = {name: card.image_side for name, card in known.items()}
    return run_seconds(spec, here.summary, sides[spec.teacher], sides, run_store().distillations(), after, until)


def active_run_count() -> int:
    """Runs that are on the device or in line."""
    return sum(run.active for run in run_store().all_runs())
