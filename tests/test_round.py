"""The benchmark of a round: the published loop computes the same losses as this lab's, and every ratio is measured."""

from __future__ import annotations

import torch

from atesc_core.specs.presets import from_preset
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.teachers.zoo import load_teacher
from benchmarks.round import PublishedLoop, ratios

TEACHER = "mnistm-mnist-ntl"
SMALL = {"rounds": 1, "student_steps": 2, "batch_size": 32, "escape.warmup_epochs": 1}


def test_the_published_loop_has_this_labs_networks_and_r_bn():
    teacher, spec = load_teacher(TEACHER), from_preset("quick", TEACHER, device="cpu", **SMALL)
    loop = PublishedLoop(spec, teacher, torch.device("cpu"))
    images = torch.rand(32, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(loop.teacher(images), teacher.model.eval()(images), atol=1e-4)
        with BatchNormMatch(teacher.model) as match:
            teacher.model(images)
        assert torch.allclose(torch.stack(loop.distances).sum(), match.loss(), rtol=1e-4)
    before = [parameter.clone() for parameter in loop.student.parameters()]
    assert 0 < loop.round() < 100
    assert any(not torch.equal(old, new) for old, new in zip(before, loop.student.parameters(), strict=True))


def test_ratios_and_operators_are_measured():
    result = ratios("quick", TEACHER, "cpu", 1, **SMALL)
    times = result["seconds"]
    assert result["plain over published"] == times["plain"] / times["published"]
    assert result["splitting over plain"] == times["splitting"] / times["plain"]
    assert 0 <= result["operators"].pop("outside") < 100
    assert 0 < sum(result["operators"].values()) <= 100
    assert any("conv" in name for name in result["operators"])
