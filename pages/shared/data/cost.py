"""How long a run takes on this machine, estimated from earlier runs, and how many wait."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards

LATEST_RUNS = 12  # of the same kind, whose speed is used


def run_seconds(
    spec: RunSpec,
    device: str | None,
    side: int,
    sides: dict[str, int],
    runs: Iterable[DistillationRun],
    after: int = 0,
    until: int | None = None,
) -> float | None:
    """How long a run would take at the speed of earlier ones that did the same work.

    Args:
        spec: of the run.
        device: as runs name it.
        side: px, of the teacher's images.
        sides: teacher -> px, of every known teacher.
        runs: the earlier ones, newest first.
        after: only the epochs after this one.
        until: only the epochs up to this one.

    Returns:
        Seconds; None where no run did such work yet.
    """
    last = until or spec.epochs
    split = max(0, last - max(after, spec.escape.warmup_epochs)) if spec.escape.splits else 0
    plain = last - after - split
    similar = [
        run
        for run in runs
        if run.device == device and sides.get(run.spec.teacher) == side and _step(run.spec) == _step(spec)
    ]
    plain_s = _per_image(similar, split=False, like=spec) if plain else 0.0
    split_s = _per_image(similar, split=True, like=spec) if split else 0.0
    if plain_s is None:
        plain_s = split_s or None  # a split epoch does all that a plain one does: at most this
    if plain_s is None or split_s is None:
        return None
    return _images_per_epoch(spec) * (plain * plain_s + split * split_s)


def training_image_count(spec: RunSpec, epochs: int | None = None) -> int:
    """How many synthetic images the student learns from, in ``epochs`` epochs or the whole run."""
    return (epochs or spec.epochs) * _images_per_epoch(spec)


def _images_per_epoch(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


def _per_image(runs: list[DistillationRun], split: bool, like: RunSpec) -> float | None:
    """Seconds per image of the student, with the end of the epoch; None where no such epoch was timed.

    The median over epochs, so that a pause does not count.
    """
    if split:
        runs = [run for run in runs if run.spec.escape.splits and _attack(run.spec) == _attack(like)]
    timed = []
    for run in runs[:LATEST_RUNS]:
        epochs = run_store().epochs(run.id)
        warmup = run.spec.escape.warmup_epochs if run.spec.escape.splits else run.epochs
        per_image = (epochs["time"].diff() / epochs["images"].diff())[(epochs["epoch"] > warmup) == split]
        timed += per_image.dropna().tolist()
    return median(timed) if timed else None


def _step(spec: RunSpec) -> tuple[object, ...]:
    """What decides how long an image takes, except the attack."""
    return (spec.student, spec.batch_size, spec.student_steps, spec.synthesis, spec.escape.kind == "abd")


def _attack(spec: RunSpec) -> tuple[object, ...]:
    return (spec.split.score, spec.split.steps, spec.escape.kind)


def estimated_seconds(spec: RunSpec, after: int = 0, until: int | None = None) -> float | None:
    """Seconds that a run would take here; None where they are not known. See ``run_seconds``."""
    here, known = machine(), cards()
    if here is None or spec.teacher not in known or spec.device not in ("auto", here.kind):
        return None
    sides = {name: card.image_side for name, card in known.items()}
    return run_seconds(spec, here.summary, sides[spec.teacher], sides, run_store().distillations(), after, until)


def active_run_count() -> int:
    """How many runs are on a device or wait for one."""
    return sum(run.active for run in run_store().all_runs())
