"""Make a recording from runs in a store, without a model. Scenes, which need one, are in scenes.py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from atesc_core.domains import find_pair
from atesc_core.errors import DamagedSnapshotError, NotRecordableError
from atesc_core.recording.file import SUFFIX
from atesc_core.recording.manifest import (
    MAX_IMAGES,
    MAX_RUNS,
    Manifest,
    RecordedEpoch,
    RecordedRound,
    RecordedRun,
    RecordedSnapshot,
    RecordedTeacher,
    Recording,
)
from atesc_core.robustness.thresholds import SUGGESTIONS
from atesc_core.runs import DistillationRun, RunStore, Snapshot
from atesc_core.teachers import TeacherCard
from atesc_core.vocabulary import Cost, Metric

DOMAINS: tuple[Literal["id", "ood"], ...] = ("id", "ood")
METRICS: tuple[Metric | Cost, ...] = (*get_args(Metric), *get_args(Cost))
MAX_IMAGES_PER_EPOCH = 96  # about 3 MB for four runs of eight epochs at 16 px
MAX_SNAPSHOTS = 24  # epochs of a run whose images are recorded, evenly thinned
MAX_STEPS = 600  # rounds of a run, evenly thinned
PAUSE_EVENTS = {"paused", "stopped", "interrupted", "failed", "done", "step", "turn"}
START_EVENTS = {"started", "resumed"}


def record(
    store: RunStore,
    run_ids: Sequence[str],
    cards: Mapping[str, TeacherCard],
    title: str = "",
    command: str = "",
    scenes: Recording | None = None,
    images: int = MAX_IMAGES_PER_EPOCH,
) -> Recording:
    """Record runs in their current state.

    Args:
        store: The store that has the runs.
        run_ids: Ids of 1 to 12 runs, without repetition.
        cards: Teacher name -> its card, as ``list_teachers`` gives them.
        title: The recording's title; the runs' labels unless given.
        command: The command that makes the recording.
        scenes: The result of ``record_scenes`` for the story of these runs.
        images: The largest number of synthetic images per epoch.

    Raises:
        NotRecordableError: There is no run, too many or one twice, or a teacher was deleted.
        UnknownRunError: The store has no such run.
    """
    if not 1 <= len(run_ids) <= MAX_RUNS:
        raise NotRecordableError(f"run: {len(run_ids)} runs; expected 1 to {MAX_RUNS}")
    if len(set(run_ids)) < len(run_ids):
        raise NotRecordableError(f"run: {', '.join(run_ids)}: expected each once")
    if not 1 <= images <= MAX_IMAGES:
        raise NotRecordableError(f"images: {images}: expected 1 to {MAX_IMAGES} an epoch")
    runs = [store.get_distillation(run_id) for run_id in run_ids]
    arrays: dict[str, np.ndarray] = {}
    recorded = []
    for number, run in enumerate(runs):
        if run.spec.teacher not in cards:
            raise NotRecordableError(
                f"run: {run.id}: its teacher {run.spec.teacher!r} is not among the teachers any more"
            )
        recorded.append(_recorded_run(store, run, cards[run.spec.teacher], number, images, arrays))
    shown = scenes.manifest if scenes else None
    if scenes:
        arrays |= scenes.arrays
    manifest = Manifest(
        title=plain_text(title) or ", ".join(run.label for run in recorded)[:200],
        created=time.time(),
        command=plain_text(command),
        runs=tuple(recorded),
        border=shown.border if shown else None,
        first=shown.first if shown else None,
        batchnorm=shown.batchnorm if shown else None,
    )
    return Recording(manifest, arrays)


def plain_text(text: str) -> str:
    """Text in the form a manifest accepts: one line of at most 200 characters, without ``<`` and ``>``."""
    return " ".join(text.replace("<", "‹").replace(">", "›").split())[:200]


def recorded_teacher(card: TeacherCard) -> RecordedTeacher:
    """The teacher's part of a manifest."""
    return RecordedTeacher(
        name=card.name,
        kind=card.kind,
        pair=plain_text(card.pair),
        setting=card.setting,
        target=find_pair(card.pair).target,
        image_side=card.image_side,
        class_names=tuple(map(plain_text, card.class_names)),
        test_images={domain: card.test_images[domain] for domain in DOMAINS if domain in card.test_images},
    )


def _recorded_run(
    store: RunStore, run: DistillationRun, card: TeacherCard, number: int, images: int, arrays: dict[str, np.ndarray]
) -> RecordedRun:
    """The run's part of the manifest. Adds the run's images to ``arrays``."""
    steps, epochs = store.rounds(run.id), store.epochs(run.id)
    clock = RunClock(steps, store.history(run.id))
    snapshots = []
    for epoch in evenly_thinned(store.snapshot_epochs(run.id), MAX_SNAPSHOTS):
        try:
            snapshot = store.snapshot(run.id, epoch)
        except DamagedSnapshotError:  # as lists leave it out from now on
            continue
        part = {name: values[:images] for name, values in snapshot_arrays(snapshot).items()}
        arrays |= {f"runs/{number}/{epoch}/{name}": values for name, values in part.items()}
        snapshots.append(
            RecordedSnapshot(
                epoch=epoch,
                seconds=clock(_end_time(epochs, epoch)),
                images=len(part["images"]),
                threshold=snapshot.threshold if math.isfinite(snapshot.threshold) else None,
                suggestions=_suggested_thresholds(part[run.spec.split.score]),
            )
        )
    return RecordedRun(
        run=run.id,
        label=plain_text(run.label or run.spec.teacher),
        spec=run.spec,
        teacher=recorded_teacher(card),
        status=run.status,
        device=plain_text(run.device or ""),
        snapshots=tuple(snapshots),
        epochs=tuple(_recorded_epochs(epochs, clock)),
        steps=tuple(_recorded_steps(steps, clock)),
    )


def scenes_file(runs_dir: Path, plain_run: str) -> Path:
    """Path of the scenes of the story with this plain run, whether or not they are made yet."""
    return Path(runs_dir) / "cache" / f"scenes-{plain_run}{SUFFIX}"


def evenly_thinned(numbers: list[int], at_most: int) -> list[int]:
    """At most ``at_most`` of the numbers, evenly spaced, with the first and the last."""
    if len(numbers) <= at_most:
        return numbers
    indices = np.linspace(0, len(numbers) - 1, at_most).round().astype(int)
    return [numbers[index] for index in indices]


def snapshot_arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """A snapshot as the arrays of a recording: the fields of ``SnapshotArrays``, and its scores by name."""
    return {
        "images": snapshot.images,
        "teacher_class": snapshot.teacher_probs.argmax(1).astype(np.uint16),
        "teacher_confidence": snapshot.teacher_probs.max(1).clip(0, 1),
        "student_class": snapshot.student_probs.argmax(1).astype(np.uint16),
        **snapshot.scores,
    }


def _suggested_thresholds(values: np.ndarray) -> dict[str, float]:
    """Rule -> threshold from the synthetic images' scores alone, where it finds two groups."""
    found = {name: rule(values) for name, rule in SUGGESTIONS.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _end_time(epochs: pd.DataFrame, epoch: int) -> float:
    """When the epoch ended, in Unix seconds."""
    return float(epochs.loc[epochs["epoch"] == epoch, "time"].iloc[0])


def _recorded_epochs(epochs: pd.DataFrame, clock: RunClock) -> Iterator[RecordedEpoch]:
    for row in epochs.to_dict("records"):
        metrics = {name: float(row[name]) for name in METRICS if name in row}
        yield RecordedEpoch(
            epoch=row["epoch"],
            seconds=clock(row["time"]),
            images=row["images"],
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        )


def _recorded_steps(steps: pd.DataFrame, clock: RunClock) -> Iterator[RecordedRound]:
    chosen = evenly_thinned(list(range(len(steps))), MAX_STEPS)
    for row in steps.iloc[chosen].to_dict("records"):
        yield RecordedRound(
            epoch=row["epoch"],
            round=row["round"],
            seconds=clock(row["time"]),
            images=row["images"],
            threshold=_rounded(row["threshold"]),
            fragile_share=_rounded(row["fragile_share"]),
            losses={str(name): _rounded(value) for name, value in row.items() if str(name).startswith(("g/", "s/"))},
        )


def _rounded(value: float) -> float | None:
    """The value with six significant digits; None for NaN and ∞, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


class RunClock:
    """Maps Unix seconds to the running time of a run, without pauses, from the logged times of its rounds.

    A round lasts from the end of the round before it, or from the last resumption since. Two kinds of rounds count as
    long as the median of the others: single rounds between two pauses, whose start is not logged, and rounds in slow
    motion, which were delayed on purpose.
    """

    def __init__(self, steps: pd.DataFrame, history: pd.DataFrame):
        self._stamps = steps["time"].to_numpy(float)
        starts = history.loc[history["kind"].isin(START_EVENTS), "time"].to_numpy(float)
        pauses = history.loc[history["kind"].isin(PAUSE_EVENTS), "time"].to_numpy(float)
        slow = _in_slow_motion(history)
        previous = np.concatenate([starts[:1] if len(starts) else self._stamps[:1], self._stamps[:-1]])[
            : len(self._stamps)
        ]
        durations, unknown = np.empty(len(previous)), np.zeros(len(previous), bool)
        for index, (start, end) in enumerate(zip(previous, self._stamps, strict=True)):
            resumed = starts[(starts > start) & (starts <= end)]
            unknown[index] = (not len(resumed) and bool(((pauses > start) & (pauses < end)).any())) or slow(start, end)
            durations[index] = max(0.0, end - (resumed[-1] if len(resumed) else start))
        if unknown.any():
            durations[unknown] = np.median(durations[~unknown]) if (~unknown).any() else 0.0
        self._seconds = np.cumsum(durations)

    def __call__(self, at: float) -> float:
        """Running time at the last round before ``at``, plus the time since, up to the next round."""
        index = int(np.searchsorted(self._stamps, at, side="right")) - 1
        if index < 0:
            return 0.0
        following = self._seconds[index + 1] if index + 1 < len(self._seconds) else math.inf
        return round(float(min(self._seconds[index] + at - self._stamps[index], following)), 3)


def _in_slow_motion(history: pd.DataFrame) -> Callable[[float, float], bool]:
    """A function that tells whether the run was in slow motion between two times, in Unix seconds."""
    events = history[history["kind"].isin(START_EVENTS | PAUSE_EVENTS | {"slow"})]
    starts, slow = events["time"].to_numpy(float), (events["kind"] == "slow").to_numpy()
    ends = np.append(starts[1:], math.inf)
    return lambda first, last: bool((slow & (starts < last) & (ends > first)).any())
