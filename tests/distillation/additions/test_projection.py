"""The trap's direction on features known by hand: the backbone is the identity on a 3-pixel image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from atesc_core.distillation.additions.projection import DECAY, TrapProjection
from atesc_core.models import Classifier

TRAPPED = torch.tensor([[4.0, 0.0, 0.0], [6.0, 0.0, 0.0]])  # mean (5, 0, 0)
FRAGILE = torch.tensor([[1.0, 2.0, 0.0], [1.0, -2.0, 0.0]])  # mean (1, 0, 0): the trap lies along the first axis
BOTH = torch.cat([TRAPPED, FRAGILE])
IS_TRAPPED = torch.tensor([True, True, False, False])


@pytest.fixture
def projection() -> TrapProjection:
    """A head that reads the three features as they are."""
    teacher = Classifier(nn.Flatten(), 3, 3, stages=(), mean=(0, 0, 0), std=(1, 1, 1)).requires_grad_(False)
    teacher.head.weight.copy_(torch.eye(3))
    teacher.head.bias.zero_()
    return TrapProjection(teacher)


def test_what_lies_towards_the_trap_is_taken_out_and_nothing_else(projection):
    projection.observe(BOTH, IS_TRAPPED, ~IS_TRAPPED)
    there, back, aside = torch.tensor([[9.0, 7.0, 3.0], [-2.0, 7.0, 3.0], [1.0, 7.0, 3.0]])
    answers = projection.head(torch.stack([there, back, aside]))
    assert torch.allclose(answers, torch.stack([aside, back, aside]))


def test_until_both_groups_were_seen_it_is_the_teacher(projection):
    x = torch.rand(5, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    for trapped in (torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)):
        assert torch.equal(projection(x), projection.teacher(x))
        projection.observe(BOTH, trapped, torch.zeros_like(trapped))
    assert torch.equal(projection(x), projection.teacher(x))


def test_the_means_are_running_ones(projection):
    projection.observe(BOTH, IS_TRAPPED, ~IS_TRAPPED)
    projection.observe(2 * BOTH, IS_TRAPPED, ~IS_TRAPPED)
    mean = projection.sums / projection.counts[:, None]
    assert torch.allclose(mean[0], TRAPPED.mean(0) * (2 + DECAY) / (1 + DECAY))


def test_an_image_can_learn_through_it(projection):
    """The generator's gradient reaches it everywhere but along the trap's direction."""
    projection.observe(BOTH, IS_TRAPPED, ~IS_TRAPPED)
    x = torch.tensor([9.0, 7.0, 3.0]).view(1, 3, 1, 1).requires_grad_()
    projection(x).sum().backward()
    assert torch.allclose(x.grad.flatten(), torch.tensor([0.0, 1.0, 1.0]))


def test_its_state_comes_back(projection):
    projection.observe(BOTH, IS_TRAPPED, ~IS_TRAPPED)
    twin = TrapProjection(projection.teacher)
    twin.load_running_sums(projection.running_sums())
    assert torch.equal(twin.head(BOTH), projection.head(BOTH))
