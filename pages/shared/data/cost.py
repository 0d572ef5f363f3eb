"""Estimates from earlier runs: how long a run takes on this machine; and the number of runs in the queue."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence
from statistics import median

from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards

LATEST_RUNS = 12  # runs of the same kind from which the speed is computed


def run_seconds(
    spec: RunSpec,
    device: str | None,
    side: int,
    sides: dict[str, int],
    runs: Iterable[DistillationRun],
    after: int = 0,
    until: int | None = None,
) -> float | None:
    """Seconds that a run would take at the speed of earlier runs that did the same work.

    Args:
        spec: settings of the run.
        device: name of the device, as in ``Run.device``.
        side: side of the teacher's images, px.
        sides: image side of every known teacher by its name, px.
        runs: earlier runs, newest first.
        after: only the epochs after this one.
        until: only the epochs up to this one.

    Returns:
        Seconds; None if no run has done such work yet.
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
        plain_s = split_s or None  # upper bound: a split epoch does all the work of a plain epoch, and more
    if plain_s is None or split_s is None:
        return None
    return _images_per_epoch(spec) * (plain * plain_s + split * split_s)


def training_image_count(spec: RunSpec, epochs: int | None = None) -> int:
    """How many synthetic images the student learns from, in ``epochs`` epochs or the whole run."""
    return (epochs or spec.epochs) * _images_per_epoch(spec)


def _images_per_epoch(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


def _per_image(runs: list[DistillationRun], split: bool, like: RunSpec) -> float | None:
    """Seconds per image of the student, including the work at the end of an epoch; None without such an epoch.

    It is the median over epochs, so that a pause does not change it.
    """
    if split:
        runs = [run for run in runs if run.spec.escape.splits and _attack(run.spec) == _attack(like)]
    seconds = []
    for run in runs[:LATEST_RUNS]:
        epochs = run_store().epochs(run.id)
        warmup = run.spec.escape.warmup_epochs if run.spec.escape.splits else run.epochs
        per_image = (epochs["time"].diff() / epochs["images"].diff())[(epochs["epoch"] > warmup) == split]
        seconds += per_image.dropna().tolist()
    return median(seconds) if seconds else None


def _step(spec: RunSpec) -> tuple[object, ...]:
    """The settings that determine the time per image, except those of the attack."""
    return (spec.student, spec.batch_size, spec.student_steps, spec.synthesis, spec.escape.kind == "abd")


def _attack(spec: RunSpec) -> tuple[object, ...]:
    return (spec.split.score, spec.split.steps, spec.escape.kind)


def estimated_seconds(spec: RunSpec, after: int = 0, until: int | None = None) -> float | None:
    """Seconds that a run would take on this machine; None if they are not known. See ``run_seconds``."""
    return _estimated_seconds(spec, run_store().distillations(), after, until)


def all_seconds(specs: Sequence[RunSpec]) -> float | None:
    """Seconds until all of these runs would be done on this machine, as many at once as there are slots for.

    None if the time of one is not known.
    """
    runs, by_work, known = run_store().distillations(), dict[Hashable, float | None](), list[float]()
    for spec in specs:
        work = (
            spec.teacher,
            spec.device,
            spec.epochs,
            spec.rounds,
            spec.escape.warmup_epochs,
            _step(spec),
            _attack(spec),
        )
        if work not in by_work:
            by_work[work] = _estimated_seconds(spec, runs)
        if (seconds := by_work[work]) is None:
            return None
        known.append(seconds)
    return seconds_together(known, at_once(specs))


def at_once(specs: Iterable[RunSpec]) -> int:
    """How many of these runs this machine computes at once; 1 until the machine is known."""
    device = machine()
    if device is None:
        return 1
    threads = max((spec.threads for spec in specs), default=1) if device.kind == "cpu" else 1
    return max(1, device.slots // threads)


def _estimated_seconds(
    spec: RunSpec, runs: list[DistillationRun], after: int = 0, until: int | None = None
) -> float | None:
    device, teachers = machine(), cards()
    if device is None or spec.teacher not in teachers or spec.device not in ("auto", device.kind):
        return None
    sides = {name: card.image_side for name, card in teachers.items()}
    return run_seconds(spec, device.summary, sides[spec.teacher], sides, runs, after, until)


NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def together(specs: Sequence[RunSpec]) -> str:
    """How many of these runs go on at once, for the user: ``two at a time``."""
    count = min(at_once(specs), len(specs))
    return f"{NUMBERS[count] if count < len(NUMBERS) else count} at a time"


def seconds_together(seconds: Iterable[float], count: int) -> float:
    """Seconds until the last of these runs is done, ``count`` at once; each begins when one before it has ended."""
    busy = [0.0] * count
    for run in seconds:
        heapq.heapreplace(busy, busy[0] + run)
    return max(busy)


def active_run_count() -> int:
    """Number of runs that are on a device or wait for one."""
    return sum(run.active for run in run_store().all_runs())
