from __future__ import annotations

import pytest
import torch

from atesc_core.distillation.additions import probes as module
from atesc_core.distillation.additions.probes import STORED, Probes, noise_probes
from atesc_core.robustness.split import fragile
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.zoo import load_teacher

CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [1, 13, 14, 42, 100])
def test_noise_probes_are_as_many_as_asked_and_in_range(count):
    x = noise_probes(count, 16, torch.Generator().manual_seed(0))
    assert x.shape == (count, 3, 16, 16)
    assert x.min() >= 0
    assert x.max() <= 1


def test_probes_are_attacked_once_a_threshold_and_drawn_with_what_the_teacher_makes_of_them(monkeypatch):
    attacked = []
    monkeypatch.setattr(module, "fragile", lambda *args: attacked.append(len(args[1])) or fragile(*args))
    teacher, split, random = load_teacher("mnistm-fashion-ntl").model, SplitSpec(), torch.Generator().manual_seed(3)
    probes = Probes(teacher, 16, split, 0, CPU)
    for threshold, times in ((4.0, 1), (4.0, 1), (2.0, 2)):
        images, features, is_fragile = probes.draw(100, threshold, random)
        with torch.no_grad():
            given = teacher.features(images)
        assert torch.allclose(features, given, atol=1e-4)
        expected = fragile(teacher, images, teacher.head(given).argmax(1), split, threshold, random)
        assert (is_fragile == expected).float().mean() > 0.98  # rounding differs by batch
        assert attacked == [STORED] * times
    again = Probes(teacher, 16, split, 0, CPU)
    again.draw(1, 2.0, random)
    assert torch.equal(again.fragile, probes.fragile)
