"""The content of a recording: a manifest, validated field by field, and arrays whose shapes follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from atesc_core.specs.base import PlainText, Spec
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import COST_NAMES, SETTING_METRIC, Cost, Metric, Setting

MAX_RUNS, MAX_SNAPSHOTS, MAX_IMAGES = 12, 64, 512  # runs; epochs of a run that keep images; images of such an epoch

PerCent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Losses = dict[Annotated[str, Field(pattern=r"^[gs]/[a-z_]{1,40}$")], float | None]
Shape = tuple[int, ...]
Turn = Literal["generator", "student"]


class RecordedTeacher(Spec):
    """The facts on a teacher that a replay shows."""

    name: PlainText
    kind: Literal["SL", "NTL"]
    pair: PlainText
    setting: Setting
    target: int | None = Field(
        default=None, ge=0, description="The label that OOD images are given (open-set, backdoor)"
    )
    image_side: int = Field(ge=8, le=256)
    class_names: tuple[PlainText, ...] = Field(min_length=2, max_length=10_000)
    test_images: dict[Literal["id", "ood"], int] = {}


class RecordedEpoch(Spec):
    """The end of an epoch, and the accuracies measured there."""

    epoch: int = Field(ge=1)
    seconds: Seconds = Field(description="Since the run began, without pauses")
    images: int = Field(ge=0)
    metrics: dict[Metric | Cost, PerCent]


class RecordedRound(Spec):
    """A logged round: its losses, and its split."""

    epoch: int = Field(ge=1)
    round: int = Field(ge=1)
    seconds: Seconds
    images: int = Field(ge=0)
    threshold: float | None = None
    fragile_share: Share | None = None
    losses: Losses


class RecordedSnapshot(Spec):
    """Synthetic images at the end of an epoch. Their pixels, predictions and scores are arrays."""

    epoch: int = Field(ge=1)
    seconds: Seconds
    images: int = Field(ge=1, le=MAX_IMAGES)
    threshold: float | None = Field(default=None, description="None: one group, all images are fragile")
    suggestions: dict[Annotated[str, Field(pattern=r"^[a-z_ ]{1,40}$")], float] = {}


class RecordedRun(Spec):
    """A run with its teacher, epochs, logged rounds and snapshots."""

    run: PlainText = Field(description="The run's id in the lab that it was recorded in")
    label: PlainText
    spec: RunSpec
    teacher: RecordedTeacher
    status: Literal["queued", "running", "paused", "done", "stopped", "interrupted", "failed"]
    device: PlainText
    epochs: tuple[RecordedEpoch, ...] = Field(max_length=100_000)
    steps: tuple[RecordedRound, ...] = Field(max_length=10_000)
    snapshots: tuple[RecordedSnapshot, ...] = Field(max_length=MAX_SNAPSHOTS)

    @model_validator(mode="after")
    def _in_order(self) -> RecordedRun:
        for name in ("epochs", "snapshots"):
            numbers = [(row.epoch, row.seconds) for row in getattr(self, name)]
            if any(
                after[0] <= before[0] or after[1] < before[1]
                for before, after in zip(numbers, numbers[1:], strict=False)
            ):
                raise ValueError(f"{name}: expected rising epochs and seconds")
        return self

    @model_validator(mode="after")
    def _right_metrics(self) -> RecordedRun:
        expected = {"iacc", SETTING_METRIC[self.teacher.setting]}
        for row in self.epochs:
            if not expected <= row.metrics.keys() <= expected | COST_NAMES.keys():
                raise ValueError(f"epochs: metrics {sorted(row.metrics)}; expected {sorted(expected)}, by the setting")
        return self

    @property
    def seconds(self) -> float:
        """How long the run took, without pauses."""
        return max(
            (seconds for rows in (self.epochs, self.steps) for seconds in (row.seconds for row in rows)), default=0.0
        )

    def epochs_until(self, seconds: float = float("inf")) -> pd.DataFrame:
        """Columns epoch, images and the metrics in per cent, of the epochs that had ended by ``seconds``."""
        rows = [
            {"epoch": row.epoch, "images": row.images, **row.metrics} for row in self.epochs if row.seconds <= seconds
        ]
        return pd.DataFrame(rows, columns=None if rows else ["epoch", "images"])

    def progress_at(self, seconds: float) -> float:
        """Share of the run's rounds that were done by ``seconds``, 0..1."""
        done = [row for row in self.steps if row.seconds <= seconds]
        return (
            ((done[-1].epoch - 1) * self.spec.rounds + done[-1].round) / (self.spec.epochs * self.spec.rounds)
            if done
            else 0.0
        )

    def snapshot_at(self, seconds: float = float("inf")) -> RecordedSnapshot | None:
        """The last snapshot taken by ``seconds``; None before the first."""
        return next((row for row in reversed(self.snapshots) if row.seconds <= seconds), None)


class BorderPair(Spec):
    """An ID image and the OOD image that it is blended into."""

    id_class: PlainText
    ood_class: PlainText
    label: int = Field(ge=0, description="Index of the ID image's true class")


class Border(Spec):
    """Teachers' predictions on blends of an ID image and an OOD image."""

    kinds: tuple[Literal["NTL", "SL"], ...] = Field(min_length=1, max_length=2)
    class_names: tuple[PlainText, ...] = Field(min_length=2, max_length=10_000)
    image_side: int = Field(ge=8, le=256)
    shares: tuple[Share, ...] = Field(min_length=2, max_length=101, description="Of the OOD image")
    pairs: tuple[BorderPair, ...] = Field(min_length=1, max_length=12)


class FirstStep(Spec):
    """One turn of the generator or the student, and its effect."""

    turn: Turn
    round: int = Field(ge=1)
    losses: Losses
    agreement: PerCent = Field(description="Images to which student and teacher give the same label")


class FirstSteps(Spec):
    """The first steps of a run: images of the same latent vectors z before and after each step."""

    class_names: tuple[PlainText, ...] = Field(min_length=2, max_length=10_000)
    image_side: int = Field(ge=8, le=256)
    images: int = Field(ge=1, le=MAX_IMAGES)
    agreement: PerCent = Field(description="Before the first step")
    steps: tuple[FirstStep, ...] = Field(min_length=1, max_length=400)

    @property
    def generator_steps(self) -> int:
        """The number of the generator's steps; the others are the student's."""
        return sum(step.turn == "generator" for step in self.steps)


class TeacherPositions(Spec):
    """Where a teacher's running statistics lie between real ID (0) and real OOD (1): ``teachers/batchnorm.py``.

    A value a BatchNorm layer, by depth; None where ID and OOD images have the same statistics.
    """

    kind: Literal["NTL", "SL"]
    layers: tuple[PlainText, ...] = Field(max_length=1000, description="Names of the modules")
    mean: tuple[float | None, ...]
    mean_distance: tuple[float | None, ...] = Field(description="From the line between ID and OOD, in its lengths")
    variance: tuple[float | None, ...]
    variance_distance: tuple[float | None, ...]

    @model_validator(mode="after")
    def _one_a_layer(self) -> TeacherPositions:
        for name in ("mean", "mean_distance", "variance", "variance_distance"):
            if len(getattr(self, name)) != len(self.layers):
                raise ValueError(f"{name}: {len(getattr(self, name))} values; expected {len(self.layers)}, one a layer")
        return self


class BatchNormPositions(Spec):
    """Teachers' running statistics between real ID and real OOD images."""

    teachers: tuple[TeacherPositions, ...] = Field(min_length=1, max_length=2)
    images: dict[Literal["id", "ood"], int] = Field(description="Real validation images of each domain")


class Manifest(Spec):
    """The manifest. Arrays are named and shaped by `arrays`."""

    format: Literal["atesc-recording"] = "atesc-recording"
    version: Literal[1] = 1
    title: PlainText
    created: float = Field(ge=0, description="Unix seconds")
    command: PlainText = Field(default="", description="The command that made it")
    runs: tuple[RecordedRun, ...] = Field(max_length=MAX_RUNS)
    border: Border | None = None
    first: FirstSteps | None = None
    batchnorm: BatchNormPositions | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Manifest:
        if len({run.run for run in self.runs}) < len(self.runs):
            raise ValueError("runs: expected each once")
        return self


@dataclass(frozen=True)
class SnapshotArrays:
    """The arrays of N synthetic images at the end of an epoch."""

    images: np.ndarray  # (N, 3, s, s) uint8
    teacher_class: np.ndarray  # (N,) uint16
    teacher_confidence: np.ndarray  # (N,) float32, the teacher's largest probability
    student_class: np.ndarray  # (N,) uint16
    scores: Mapping[str, np.ndarray]  # (N,) float32 each: those of `recorded_scores`

    @property
    def min_eps(self) -> np.ndarray:
        """(N,) smallest ε that changes the teacher's prediction, in 1/255."""
        return self.scores["min_eps"]

    def score(self, name: str) -> np.ndarray:
        """(N,) values of one score."""
        return self.scores[name]


SNAPSHOT_ARRAYS: dict[str, str] = {  # field -> dtype in the file
    "images": "|u1",
    "teacher_class": "<u2",
    "teacher_confidence": "<f4",
    "student_class": "<u2",
}
SCORE_TYPE = "<f4"
BORDER_ARRAYS: dict[str, str] = {"images": "|u1", "probs": "<f4"}
FIRST_STEP_ARRAYS: dict[str, str] = {
    "images": "|u1",
    "teacher_class": "<u2",
    "teacher_confidence": "<f4",
    "student_class": "<u2",
}


def recorded_scores(run: RecordedRun) -> tuple[str, ...]:
    """The scores that are recorded for each synthetic image: the attacked ones, and the run's own."""
    return tuple(dict.fromkeys(("min_eps", "margin", "kl", run.spec.split.score)))


def expected_arrays(manifest: Manifest) -> dict[str, tuple[str, Shape]]:
    """Name -> dtype and shape of every array that belongs to the manifest."""
    expected: dict[str, tuple[str, Shape]] = {}
    for number, run in enumerate(manifest.runs):
        for snapshot in run.snapshots:
            side = run.teacher.image_side
            shapes = {"images": (snapshot.images, 3, side, side)}
            expected |= {
                f"runs/{number}/{snapshot.epoch}/{name}": (kind, shapes.get(name, (snapshot.images,)))
                for name, kind in (SNAPSHOT_ARRAYS | dict.fromkeys(recorded_scores(run), SCORE_TYPE)).items()
            }
    if border := manifest.border:
        pairs, blends, side = len(border.pairs), len(border.shares), border.image_side
        expected["border/images"] = (BORDER_ARRAYS["images"], (pairs, blends, 3, side, side))
        expected["border/probs"] = (BORDER_ARRAYS["probs"], (len(border.kinds), pairs, blends, len(border.class_names)))
    if first := manifest.first:
        drawn, images, side = first.generator_steps + 1, first.images, first.image_side
        expected["first/images"] = (FIRST_STEP_ARRAYS["images"], (drawn, images, 3, side, side))
        expected["first/teacher_class"] = (FIRST_STEP_ARRAYS["teacher_class"], (drawn, images))
        expected["first/teacher_confidence"] = (FIRST_STEP_ARRAYS["teacher_confidence"], (drawn, images))
        expected["first/student_class"] = (FIRST_STEP_ARRAYS["student_class"], (len(first.steps) + 1, images))
    return expected


@dataclass(frozen=True)
class Recording:
    """A manifest with its arrays, read from a file or made from runs in a store."""

    manifest: Manifest
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    def pictures(self, run: RecordedRun, epoch: int) -> SnapshotArrays:
        """The arrays of a run's snapshot, by the epoch of one of ``run.snapshots``."""
        number = next(index for index, recorded in enumerate(self.manifest.runs) if recorded is run)
        folder = f"runs/{number}/{epoch}"
        scores = {name: self.arrays[f"{folder}/{name}"] for name in recorded_scores(run)}
        return SnapshotArrays(**{name: self.arrays[f"{folder}/{name}"] for name in SNAPSHOT_ARRAYS}, scores=scores)

    @property
    def seconds(self) -> float:
        """How long the replay takes: all runs start at once, and it ends with the last."""
        return max((run.seconds for run in self.manifest.runs), default=0.0)
