"""Recordings: the story of `lab_with_runs`, and a small artificial recording that tests can change."""

from __future__ import annotations

import numpy as np
import pytest

from atesc_core.recording import Border, FirstSteps, Manifest, RecordedRun, Recording, record
from atesc_core.recording.manifest import (
    BatchNormPositions,
    BorderPair,
    FirstStep,
    RecordedEpoch,
    RecordedRound,
    RecordedSnapshot,
    RecordedTeacher,
    TeacherPositions,
)
from atesc_core.recording.scenes import record_scenes
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import list_teachers
from tests.support.labs import CONTROL, Lab

TEACHER = RecordedTeacher(
    name="t",
    kind="NTL",
    pair="p",
    setting="backdoor",
    target=0,
    image_side=8,
    class_names=("no", "yes"),
    test_images={"id": 10, "ood": 5},
)


def by_hand() -> Recording:
    """A recording: one run of two epochs, images of the second, one border pair, one round of first steps."""
    run = RecordedRun(
        run="abcdefgh",
        label="By hand",
        spec=RunSpec(teacher="t", epochs=2, rounds=2),
        teacher=TEACHER,
        status="done",
        device="CPU",
        epochs=(
            RecordedEpoch(epoch=1, seconds=2.5, images=8, metrics={"iacc": 50.0, "asr": 90.0}),
            RecordedEpoch(epoch=2, seconds=5.0, images=16, metrics={"iacc": 75.0, "asr": 100.0}),
        ),
        steps=tuple(
            RecordedRound(
                epoch=1 + index // 2,
                round=1 + index % 2,
                seconds=1.0 + index,
                images=4 * (index + 1),
                losses={"g/bn": 1.5, "s/total": None},
            )
            for index in range(4)
        ),
        snapshots=(RecordedSnapshot(epoch=2, seconds=5.0, images=3, threshold=4.0, suggestions={"otsu": 3.5}),),
    )
    border = Border(
        kinds=("NTL", "SL"),
        class_names=("no", "yes"),
        image_side=8,
        shares=(0.0, 1.0),
        pairs=(BorderPair(id_class="yes", ood_class="yes", label=1),),
    )
    first = FirstSteps(
        class_names=("no", "yes"),
        image_side=8,
        images=2,
        agreement=50.0,
        steps=(
            FirstStep(turn="generator", round=1, losses={"g/bn": 1.5}, agreement=0.0),
            FirstStep(turn="student", round=1, losses={"s/total": 0.5}, agreement=100.0),
        ),
    )
    batchnorm = BatchNormPositions(
        teachers=(
            TeacherPositions(
                kind="NTL",
                layers=("backbone.1", "backbone.4"),
                mean=(0.5, None),
                mean_distance=(0.01, None),
                variance=(0.75, 1.5),
                variance_distance=(0.25, 0.0),
            ),
        ),
        images={"id": 10, "ood": 5},
    )
    random = np.random.default_rng(0)
    snapshot = "runs/0/2"
    arrays = {
        f"{snapshot}/images": random.integers(0, 256, (3, 3, 8, 8), np.uint8),
        f"{snapshot}/teacher_class": np.array([0, 1, 1], np.uint16),
        f"{snapshot}/student_class": np.array([0, 0, 1], np.uint16),
        f"{snapshot}/teacher_confidence": np.array([0.5, 0.9, 1.0], np.float32),
        f"{snapshot}/min_eps": np.array([1.0, 4.0, np.inf], np.float32),
        f"{snapshot}/margin": np.array([-1.0, 0.0, 2.0], np.float32),
        f"{snapshot}/kl": np.array([-3.0, -1.0, 0], np.float32),
        "border/images": random.integers(0, 256, (1, 2, 3, 8, 8), np.uint8),
        "border/probs": np.array([[[[0.1, 0.9], [0.8, 0.2]]], [[[0.0, 1.0], [0.25, 0.75]]]], np.float32),
        "first/images": random.integers(0, 256, (2, 2, 3, 8, 8), np.uint8),
        "first/teacher_class": np.array([[0, 1], [1, 1]], np.uint16),
        "first/teacher_confidence": np.array([[0.5, 0.6], [0.7, 0.8]], np.float32),
        "first/student_class": np.array([[0, 0], [0, 0], [1, 1]], np.uint16),
    }
    manifest = Manifest(title="By hand", created=1.0, runs=(run,), border=border, first=first, batchnorm=batchnorm)
    return Recording(manifest, arrays)


@pytest.fixture
def recording() -> Recording:
    return by_hand()


@pytest.fixture(scope="session")
def story_scenes(lab_with_runs: Lab) -> Recording:
    return record_scenes(lab_with_runs.store.get(lab_with_runs.plain).spec, CONTROL, lab_with_runs.runs_dir)


@pytest.fixture(scope="session")
def recorded(lab_with_runs: Lab, story_scenes: Recording) -> Recording:
    """The recorded story of `lab_with_runs`, with its scenes."""
    cards = {card.name: card for card in list_teachers(lab_with_runs.runs_dir)}
    runs = [lab_with_runs.plain, lab_with_runs.atesc, lab_with_runs.control]
    return record(lab_with_runs.store, runs, cards, "The story", "a command", story_scenes)
