"""Runs of a store as a recording. What needs a teacher's or generator's forward pass is in scenes.py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from atesc_core.errors import NotRecordable
from atesc_core.recording.file import SUFFIX
from atesc_core.recording.manifest import (
    MAX_IMAGES,
    MAX_RUNS,
    KeptImages,
    Manifest,
    RecordedEpoch,
    RecordedRun,
    RecordedStep,
    RecordedTeacher,
    Recording,
)
from atesc_core.runs import DistillationRun, RunStore, Snapshot

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard

IMAGES = 96  # an epoch: with three runs of eight epochs at 16 px about 2 MB
KEPT = 24  # epochs of a run whose images are kept, evenly thinned
STEPS = 600  # rounds of a run, evenly thinned
HELD = {"paused", "stopped", "interrupted", "failed", "done", "step", "turn"}
BEGUN = {"started", "resumed"}


def record(
    store: RunStore,
    run_ids: Sequence[str],
    cards: Mapping[str, TeacherCard],
    title: str = "",
    command: str = "",
    scenes: Recording | None = None,
    images: int = IMAGES,
) -> Recording:
    """The runs as they now stand, with at most ``images`` synthetic images an epoch.

    cards: name -> card, of ``list_teachers``. scenes: what scenes.py made for the runs' story.
    Raises BadRecording: no run, too many, one twice, a teacher that is gone; UnknownRun.
    """
    if not 1 <= len(run_ids) <= MAX_RUNS:
        raise NotRecordable(f"run: {len(run_ids)} runs; expected 1 to {MAX_RUNS}")
    if len(set(run_ids)) < len(run_ids):
        raise NotRecordable(f"run: {', '.join(run_ids)}: expected each once")
    if not 1 <= images <= MAX_IMAGES:
        raise NotRecordable(f"images: {images}: expected 1 to {MAX_IMAGES} an epoch")
    runs = [store.get_distillation(run_id) for run_id in run_ids]
    arrays: dict[str, np.ndarray] = {}
    recorded = []
    for number, run in enumerate(runs):
        if run.spec.teacher not in cards:
            raise NotRecordable(f"run: {run.id}: its teacher {run.spec.teacher!r} is not among the teachers any more")
        recorded.append(_recorded(store, run, cards[run.spec.teacher], number, images, arrays))
    border, first = (scenes.manifest.border, scenes.manifest.first) if scenes else (None, None)
    if scenes:
        arrays |= scenes.arrays
    manifest = Manifest(
        title=words(title) or ", ".join(run.label for run in recorded)[:200],
        created=time.time(),
        command=words(command),
        runs=tuple(recorded),
        border=border,
        first=first,
    )
    return Recording(manifest, arrays)


def words(text: str) -> str:
    """Text that a recording takes: one line, without markup's brackets."""
    return " ".join(text.replace("<", "‹").replace(">", "›").split())[:200]


def teacher_of(card: TeacherCard) -> RecordedTeacher:
    """Imports torch, as the card did."""
    from atesc_core.domains import find_pair

    return RecordedTeacher(
        name=card.name,
        kind=card.kind,
        pair=words(card.pair),
        setting=card.setting,
        target=find_pair(card.pair).target,
        image_side=card.image_side,
        class_names=tuple(map(words, card.class_names)),
        test_images=card.test_images,
    )


def _recorded(
    store: RunStore, run: DistillationRun, card: TeacherCard, number: int, images: int, arrays: dict[str, np.ndarray]
) -> RecordedRun:
    """The run's part of the manifest; what it keeps of its images is put into ``arrays``."""
    steps, epochs = store.steps(run.id), store.epochs(run.id)
    clock = Clock(steps, store.history(run.id))
    kept = []
    for epoch in thinned(store.snapshots(run.id), KEPT):
        shown = store.snapshot(run.id, epoch)
        part = {name: values[:images] for name, values in pictures(shown).items()}
        arrays |= {f"runs/{number}/{epoch}/{name}": values for name, values in part.items()}
        kept.append(
            KeptImages(
                epoch=epoch,
                seconds=clock(_ended(epochs, epoch)),
                images=len(part["images"]),
                threshold=shown.threshold,
                suggestions=_suggestions(part[run.spec.split.score]),
            )
        )
    return RecordedRun(
        run=run.id,
        label=words(run.label or run.spec.teacher),
        spec=run.spec,
        teacher=teacher_of(card),
        status=run.status,
        device=words(run.device or ""),
        kept=tuple(kept),
        epochs=tuple(_epochs(epochs, clock)),
        steps=tuple(_steps(steps, clock)),
    )


def scenes_file(runs_dir: Path, plain_run: str) -> Path:
    """Where scenes.py leaves, or would leave, the scenes of the story with this plain run."""
    return Path(runs_dir) / "cache" / f"scenes-{plain_run}{SUFFIX}"


def thinned(numbers: list[int], at_most: int) -> list[int]:
    """Evenly, with the first and the last."""
    if len(numbers) <= at_most:
        return numbers
    places = np.linspace(0, len(numbers) - 1, at_most).round().astype(int)
    return [numbers[place] for place in places]


def pictures(shown: Snapshot) -> dict[str, np.ndarray]:
    """A snapshot's images and what a replay says of each: the fields of ``Pictures``."""
    return {
        "images": shown.images,
        "teacher_class": shown.teacher_probs.argmax(1).astype(np.uint16),
        "teacher_sure": shown.teacher_probs.max(1).clip(0, 1),
        "student_class": shown.student_probs.argmax(1).astype(np.uint16),
        **shown.scores,
    }


def _suggestions(values: np.ndarray) -> dict[str, float]:
    """Thresholds from the synthetic images' scores alone."""
    from atesc_core.robustness.detection import SUGGESTIONS

    if np.isfinite(values).sum() < 2:
        return {}
    return {name: rule(values) for name, rule in SUGGESTIONS.items()}


def _ended(epochs: pd.DataFrame, epoch: int) -> float:
    """When the epoch was over, in unix seconds."""
    return float(epochs.loc[epochs["epoch"] == epoch, "time"].iloc[0])


def _epochs(epochs: pd.DataFrame, clock: Clock) -> Iterator[RecordedEpoch]:
    for row in epochs.to_dict("records"):
        metrics = {name: value for name, value in row.items() if name not in ("epoch", "images", "time")}
        yield RecordedEpoch(
            epoch=row["epoch"],
            seconds=clock(row["time"]),
            images=row["images"],
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        )


def _steps(steps: pd.DataFrame, clock: Clock) -> Iterator[RecordedStep]:
    chosen = thinned(list(range(len(steps))), STEPS)
    for row in steps.iloc[chosen].to_dict("records"):
        yield RecordedStep(
            epoch=row["epoch"],
            round=row["round"],
            seconds=clock(row["time"]),
            images=row["images"],
            threshold=_number(row["threshold"]),
            fragile_share=_number(row["fragile_share"]),
            losses={name: _number(value) for name, value in row.items() if name[:2] in ("g/", "s/")},
        )


def _number(value: float) -> float | None:
    """To six digits, which is all that a picture shows; None for NaN and ∞, which JSON has not."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


class Clock:
    """A run's own time: unix seconds -> seconds that it ran, as its rounds were stamped, pauses left out.

    A round lasts since the one before it, or since the run was resumed after that. One that was done by itself
    between two pauses has no beginning on record, and one in slow motion took as long as it was asked to: both count
    as long as the others' median.
    """

    def __init__(self, steps: pd.DataFrame, history: pd.DataFrame):
        self._stamps = steps["time"].to_numpy(float)
        begun = history.loc[history["kind"].isin(BEGUN), "time"].to_numpy(float)
        held = history.loc[history["kind"].isin(HELD), "time"].to_numpy(float)
        slow = _slow(history)
        before = np.concatenate([begun[:1] if len(begun) else self._stamps[:1], self._stamps[:-1]])[: len(self._stamps)]
        durations, unknown = np.empty(len(before)), np.zeros(len(before), bool)
        for place, (last, now) in enumerate(zip(before, self._stamps, strict=True)):
            resumed = begun[(begun > last) & (begun <= now)]
            unknown[place] = (not len(resumed) and bool(((held > last) & (held < now)).any())) or slow(last, now)
            durations[place] = max(0.0, now - (resumed[-1] if len(resumed) else last))
        if unknown.any():
            durations[unknown] = np.median(durations[~unknown]) if (~unknown).any() else 0.0
        self._seconds = np.cumsum(durations)

    def __call__(self, at: float) -> float:
        """Of the last round by then, and the time since: an epoch's end follows its last round at once."""
        place = int(np.searchsorted(self._stamps, at, side="right")) - 1
        if place < 0:
            return 0.0
        following = self._seconds[place + 1] if place + 1 < len(self._seconds) else math.inf
        return round(float(min(self._seconds[place] + at - self._stamps[place], following)), 3)


def _slow(history: pd.DataFrame) -> Callable[[float, float], bool]:
    """Whether a run was in slow motion between two times, in unix seconds."""
    events = history[history["kind"].isin(BEGUN | HELD | {"slow"})]
    times, slow = events["time"].to_numpy(float), (events["kind"] == "slow").to_numpy()
    ends = np.append(times[1:], math.inf)
    return lambda first, last: bool((slow & (times < last) & (ends > first)).any())
