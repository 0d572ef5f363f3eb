from __future__ import annotations

import pytest
import torch
from torch import nn

from atesc_core.distillation.losses import kl
from atesc_core.models import build
from atesc_core.spec import RunSpec
from atesc_core.synthesis import SYNTHESIZERS, noise_probes
from atesc_core.synthesis.base import BatchNormMatch


def test_r_bn_by_hand():
    """One layer, one channel, inputs 0, 0, 2, 2: mean 1, biased variance 1; running mean 3, variance 5: 4 + 2."""
    layer = nn.BatchNorm2d(1).eval()
    layer.running_mean.fill_(3.0)
    layer.running_var.fill_(5.0)
    with BatchNormMatch(nn.Sequential(layer)) as match:
        layer(torch.tensor([0.0, 0.0, 2.0, 2.0]).view(4, 1, 1, 1))
    assert match.loss().item() == pytest.approx(6.0)


def test_r_bn_is_zero_where_the_statistics_match_and_without_batchnorm():
    layer = nn.BatchNorm2d(1).eval()
    layer.running_mean.fill_(1.0)
    layer.running_var.fill_(1.0)
    with BatchNormMatch(nn.Sequential(layer)) as match:
        layer(torch.tensor([0.0, 0.0, 2.0, 2.0]).view(4, 1, 1, 1))
    assert match.loss().item() == pytest.approx(0.0, abs=1e-6)
    assert BatchNormMatch(nn.Linear(2, 2)).loss().item() == 0.0


@pytest.mark.parametrize("kind", SYNTHESIZERS)
def test_a_synthesizer_learns_and_its_state_gives_the_same_images(kind):
    teacher, student = build("small", 4, 0).eval().requires_grad_(False), build("small", 4, 1)
    spec = RunSpec(teacher="t", batch_size=16)

    def fresh(seed):
        return SYNTHESIZERS[kind](spec, teacher, 16, torch.Generator().manual_seed(seed))

    first = fresh(0)
    before = [p.clone() for p in student.parameters()]
    matched = [first.train_round(student)["bn"].item() for _ in range(30)]
    assert matched[-1] < matched[0]
    assert all(torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))
    x = first.sample(8)
    assert x.shape == (8, 3, 16, 16)
    assert not x.requires_grad
    assert x.min() >= 0
    assert x.max() <= 1
    second = fresh(1)
    second.load_state_dict(first.state_dict())
    first.random.manual_seed(7)
    second.random.manual_seed(7)
    assert torch.equal(first.sample(8), second.sample(8))


def test_the_adversarial_term_is_what_the_student_does_not_know():
    teacher, student = build("small", 4, 0).eval().requires_grad_(False), build("small", 4, 1)
    student.head.weight.data.zero_()
    student.head.bias.data = torch.tensor([0.0, 0.0, 0.0, 9.0])
    spec = RunSpec(teacher="t", batch_size=16)
    synthesizer, twin = (SYNTHESIZERS["dfq"](spec, teacher, 16, torch.Generator().manual_seed(0)) for _ in range(2))
    with torch.no_grad():
        expected = -kl(teacher(twin.sample(16)), student.head.bias.expand(16, 4)).mean().item()
    assert synthesizer.train_round(student)["adversarial"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("count", [1, 13, 14, 42, 100])
def test_noise_probes_are_as_many_as_asked_and_in_range(count):
    x = noise_probes(count, 16, torch.Generator().manual_seed(0))
    assert x.shape == (count, 3, 16, 16)
    assert x.min() >= 0
    assert x.max() <= 1
