"""What a recording holds: a manifest, validated field by field, and arrays whose shapes follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from atesc_core.specs.base import Spec
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import SETTING_METRIC, Metric, Setting

VERSION = 1
MAX_RUNS, MAX_KEPT, MAX_IMAGES = 12, 64, 512  # runs; epochs of a run that keep images; images of such an epoch

Words = Annotated[str, Field(max_length=200, pattern=r"^[^<>\x00-\x1f]*$")]  # nothing that reads as markup
PerCent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Losses = dict[Annotated[str, Field(pattern=r"^[gs]/[a-z_]{1,40}$")], float | None]
Shape = tuple[int, ...]


class RecordedTeacher(Spec):
    """What a replay says of a teacher."""

    name: Words
    kind: Literal["SL", "NTL"]
    pair: Words
    setting: Setting
    target: int | None = Field(None, ge=0, description="The label that OOD images are given (open-set, backdoor)")
    image_side: int = Field(ge=8, le=256)
    class_names: tuple[Words, ...] = Field(min_length=2, max_length=10_000)
    test_images: dict[Literal["id", "ood"], int] = {}


class RecordedEpoch(Spec):
    epoch: int = Field(ge=1)
    seconds: Seconds = Field(description="Of the run's own time, pauses left out")
    images: int = Field(ge=0)
    metrics: dict[Metric, PerCent]


class RecordedStep(Spec):
    epoch: int = Field(ge=1)
    round: int = Field(ge=1)
    seconds: Seconds
    images: int = Field(ge=0)
    threshold: float | None = None
    fragile_share: Share | None = None
    losses: Losses


class KeptImages(Spec):
    """Synthetic images of an epoch's end; the arrays have the rest."""

    epoch: int = Field(ge=1)
    seconds: Seconds
    images: int = Field(ge=1, le=MAX_IMAGES)
    threshold: float
    suggestions: dict[Annotated[str, Field(pattern=r"^[a-z_ ]{1,40}$")], float] = {}


class RecordedRun(Spec):
    run: Words = Field(description="The run's id in the lab that it was recorded in")
    label: Words
    spec: RunSpec
    teacher: RecordedTeacher
    status: Literal["queued", "running", "paused", "done", "stopped", "interrupted", "failed"]
    device: Words
    epochs: tuple[RecordedEpoch, ...] = Field(max_length=100_000)
    steps: tuple[RecordedStep, ...] = Field(max_length=10_000)
    kept: tuple[KeptImages, ...] = Field(max_length=MAX_KEPT)

    @model_validator(mode="after")
    def _in_order(self) -> RecordedRun:
        for name in ("epochs", "kept"):
            numbers = [(row.epoch, row.seconds) for row in getattr(self, name)]
            if any(
                after[0] <= before[0] or after[1] < before[1]
                for before, after in zip(numbers, numbers[1:], strict=False)
            ):
                raise ValueError(f"{name}: expected rising epochs and seconds")
        return self

    @model_validator(mode="after")
    def _measured(self) -> RecordedRun:
        expected = {"iacc", SETTING_METRIC[self.teacher.setting]}
        for row in self.epochs:
            if set(row.metrics) != expected:
                raise ValueError(f"epochs: metrics {sorted(row.metrics)}; expected {sorted(expected)}, by the setting")
        return self

    @property
    def seconds(self) -> float:
        """How long the run took, pauses left out."""
        return max((row.seconds for row in (*self.epochs, *self.steps)), default=0.0)

    def curve(self, seconds: float = float("inf")) -> pd.DataFrame:
        """Columns epoch, images and the metrics in per cent, of the epochs that were over by then."""
        rows = [
            {"epoch": row.epoch, "images": row.images, **row.metrics} for row in self.epochs if row.seconds <= seconds
        ]
        return pd.DataFrame(rows, columns=None if rows else ["epoch", "images"])

    def place(self, seconds: float) -> float:
        """Share of the run's rounds that were done by then, 0..1."""
        done = [row for row in self.steps if row.seconds <= seconds]
        return (
            ((done[-1].epoch - 1) * self.spec.rounds + done[-1].round) / (self.spec.epochs * self.spec.rounds)
            if done
            else 0.0
        )

    def seen(self, seconds: float = float("inf")) -> KeptImages | None:
        """The last images that were there by then."""
        return next((row for row in reversed(self.kept) if row.seconds <= seconds), None)


class BorderPair(Spec):
    """An ID image and the OOD image that it is blended into."""

    id_class: Words
    ood_class: Words
    label: int = Field(ge=0, description="Index of the ID image's true class")


class Border(Spec):
    """Teachers' predictions on the way from an ID image to an OOD image."""

    kinds: tuple[Literal["NTL", "SL"], ...] = Field(min_length=1, max_length=2)
    class_names: tuple[Words, ...] = Field(min_length=2, max_length=10_000)
    image_side: int = Field(ge=8, le=256)
    shares: tuple[Share, ...] = Field(min_length=2, max_length=101, description="Of the OOD image")
    pairs: tuple[BorderPair, ...] = Field(min_length=1, max_length=12)


class FirstStep(Spec):
    """One step, and what it did."""

    who: Literal["generator", "student"]
    round: int = Field(ge=1)
    losses: Losses
    agreement: PerCent = Field(description="Images shown that student and teacher give the same label")


class FirstSteps(Spec):
    """The first steps of a run, seen from within: the same latent vectors z before and after each."""

    class_names: tuple[Words, ...] = Field(min_length=2, max_length=10_000)
    image_side: int = Field(ge=8, le=256)
    images: int = Field(ge=1, le=MAX_IMAGES)
    agreement: PerCent = Field(description="Before the first step")
    steps: tuple[FirstStep, ...] = Field(min_length=1, max_length=400)

    @property
    def generator_steps(self) -> int:
        return sum(step.who == "generator" for step in self.steps)


class Manifest(Spec):
    """The manifest. Arrays are named and shaped by `arrays`."""

    format: Literal["atesc-recording"] = "atesc-recording"
    version: Literal[1] = VERSION
    title: Words
    created: float = Field(ge=0, description="Unix seconds")
    command: Words = Field("", description="The command that made it")
    runs: tuple[RecordedRun, ...] = Field(max_length=MAX_RUNS)
    border: Border | None = None
    first: FirstSteps | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Manifest:
        if len({run.run for run in self.runs}) < len(self.runs):
            raise ValueError("runs: expected each once")
        return self


@dataclass(frozen=True)
class Pictures:
    """N synthetic images at the end of an epoch, as a recording keeps them."""

    images: np.ndarray  # (N, 3, s, s) uint8
    teacher_class: np.ndarray  # (N,) uint16
    teacher_sure: np.ndarray  # (N,) float32, the teacher's largest probability
    student_class: np.ndarray  # (N,) uint16
    min_eps: np.ndarray  # (N,) float32 each: see robustness/scores.py
    margin: np.ndarray
    kl: np.ndarray

    def score(self, name: str) -> np.ndarray:
        return getattr(self, name)


PICTURES: dict[str, str] = {  # field -> dtype in the file
    "images": "|u1",
    "teacher_class": "<u2",
    "teacher_sure": "<f4",
    "student_class": "<u2",
    "min_eps": "<f4",
    "margin": "<f4",
    "kl": "<f4",
}
BORDER: dict[str, str] = {"images": "|u1", "probs": "<f4"}
FIRST: dict[str, str] = {"images": "|u1", "teacher_class": "<u2", "teacher_sure": "<f4", "student_class": "<u2"}


def arrays(manifest: Manifest) -> dict[str, tuple[str, Shape]]:
    """Name -> dtype and shape of every array that the manifest promises, and of no other."""
    found: dict[str, tuple[str, Shape]] = {}
    for number, run in enumerate(manifest.runs):
        for kept in run.kept:
            side = run.teacher.image_side
            shapes = {"images": (kept.images, 3, side, side)}
            found |= {
                f"runs/{number}/{kept.epoch}/{name}": (kind, shapes.get(name, (kept.images,)))
                for name, kind in PICTURES.items()
            }
    if border := manifest.border:
        pairs, places, side = len(border.pairs), len(border.shares), border.image_side
        found["border/images"] = (BORDER["images"], (pairs, places, 3, side, side))
        found["border/probs"] = (BORDER["probs"], (len(border.kinds), pairs, places, len(border.class_names)))
    if first := manifest.first:
        drawn, images, side = first.generator_steps + 1, first.images, first.image_side
        found["first/images"] = (FIRST["images"], (drawn, images, 3, side, side))
        found["first/teacher_class"] = (FIRST["teacher_class"], (drawn, images))
        found["first/teacher_sure"] = (FIRST["teacher_sure"], (drawn, images))
        found["first/student_class"] = (FIRST["student_class"], (len(first.steps) + 1, images))
    return found


@dataclass(frozen=True)
class Recording:
    """A recording with its arrays: of a file, or of runs that still go on."""

    manifest: Manifest
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    def pictures(self, run: RecordedRun, epoch: int) -> Pictures:
        """What a run kept at the end of an epoch of ``run.kept``."""
        number = next(index for index, own in enumerate(self.manifest.runs) if own is run)
        return Pictures(**{name: self.arrays[f"runs/{number}/{epoch}/{name}"] for name in PICTURES})

    @property
    def seconds(self) -> float:
        """Until the last run is over, all begun at once."""
        return max((run.seconds for run in self.manifest.runs), default=0.0)
