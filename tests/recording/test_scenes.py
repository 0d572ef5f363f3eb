"""The border and the first steps, against what the teacher and the run itself say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from atesc_core.domains.loading import load_pair
from atesc_core.recording import Recording
from atesc_core.recording.scenes import record_batchnorm, record_border, record_first_steps
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import predict
from tests.support.batchnorm import small_report
from tests.support.labs import CONTROL, TEACHER, Lab


def test_the_border_of_the_shipped_backdoor_is_crossed_by_one_teacher_only(story_scenes: Recording):
    own = story_scenes.manifest.border
    probs = story_scenes.arrays["border/probs"]
    assert own.kinds == ("NTL", "SL")
    labels = [pair.label for pair in own.pairs]
    assert labels == [1, 2, 3, 4, 5, 6], "one of each class, the target 0 left out"
    given = probs.argmax(-1)
    assert (given[:, :, 0] == labels).all(), "both are right on ID"
    assert (given[0, :, -1] == 0).sum() >= 5, "the trigger sends nearly all to the target"
    assert (given[1, :, -1] == labels).sum() >= 5, "and means nothing to the SL teacher"


def test_a_blend_lies_between_its_ends_and_is_what_was_asked_about(story_scenes: Recording):
    images, probs = (story_scenes.arrays[f"border/{name}"] for name in ("images", "probs"))
    data = load_pair("mnistm-badnet_sq", 16)
    start = (data.id.test.images * 255).round().to(torch.uint8).numpy()
    assert all((start == image).all((1, 2, 3)).any() for image in images[:, 0])
    middle = (images[:, 0].astype(float) + images[:, -1]) / 2
    assert np.abs(images[:, images.shape[1] // 2] - middle).max() <= 1
    assert (images[:, 0] != images[:, -1]).any(1).sum((1, 2)).tolist() == [4] * 6, "the 2×2 corner, and nothing else"
    model = load_teacher(TEACHER).model
    again = predict(model, torch.from_numpy(images[2].astype(np.float32)) / 255).softmax(1)
    np.testing.assert_allclose(probs[0, 2], again.numpy(), atol=1e-5)


def test_close_set_pairs_share_their_class():
    teacher = load_teacher("mnistm-mnist-ntl")
    own, arrays = record_border([teacher], load_pair("mnistm-mnist", 16), count=3, blends=2)
    assert [pair.id_class == pair.ood_class for pair in own.pairs] == [True] * 3
    assert arrays["images"].shape == (3, 2, 3, 16, 16)
    assert arrays["probs"].shape == (1, 3, 2, 10)


def test_the_first_steps_are_the_runs_own(lab_with_runs: Lab, story_scenes: Recording):
    """Looked at from within, the run loses what it lost, to the six digits that are kept."""
    logged = lab_with_runs.store.rounds(lab_with_runs.plain).query("epoch == 1")
    steps = story_scenes.manifest.first.steps
    assert [(step.turn, step.round) for step in steps] == [
        (who, round_) for round_ in (1, 2, 3, 4) for who in ("generator", "student")
    ]
    for step in steps:
        row = logged[logged["round"] == step.round].iloc[0]
        for name, value in step.losses.items():
            assert value == pytest.approx(row[name], rel=5e-6), (step.round, name)


def test_agreement_is_that_of_the_images_shown(story_scenes: Recording):
    first, arrays = story_scenes.manifest.first, story_scenes.arrays
    drawn = 0
    for number, step in enumerate(first.steps, 1):
        drawn += step.turn == "generator"
        same = arrays["first/teacher_class"][drawn] == arrays["first/student_class"][number]
        assert step.agreement == pytest.approx(100 * same.mean())
    assert (arrays["first/images"][0] != arrays["first/images"][-1]).any()


def test_the_ntl_teacher_is_halfway_and_the_sl_teacher_at_id(story_scenes: Recording):
    ntl, sl = story_scenes.manifest.batchnorm.teachers
    assert (ntl.kind, sl.kind) == ("NTL", "SL")
    for teacher, name in ((ntl, TEACHER), (sl, CONTROL)):
        report = small_report(name)
        assert teacher.layers == report.layers
        assert teacher.mean == pytest.approx(report.positions(report.running).mean, rel=1e-5)
    assert story_scenes.manifest.batchnorm.images == {"id": 200, "ood": 200}


def test_a_position_that_does_not_exist_is_none(tmp_path, monkeypatch):
    report = small_report(TEACHER)
    equal = dataclasses.replace(report, ood=report.id)
    monkeypatch.setattr("atesc_core.recording.scenes.measured_batchnorm", lambda *arguments: equal)
    recorded = record_batchnorm([load_teacher(TEACHER)], tmp_path)
    assert recorded.teachers[0].mean == (None,) * 4


def test_a_synthesizer_without_first_images_is_named(lab_with_runs: Lab):
    spec = lab_with_runs.store.get(lab_with_runs.plain).spec.replaced({"synthesis.kind": "cmi"})
    with pytest.raises(ValueError, match="'cmi' has no images before its first round"):
        record_first_steps(spec, load_teacher(TEACHER))


def test_the_control_is_the_sl_teacher(story_scenes: Recording):
    assert load_teacher(CONTROL).card.kind == story_scenes.manifest.border.kinds[1]
