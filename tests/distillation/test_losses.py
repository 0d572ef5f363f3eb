"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from atesc_core.distillation.losses import FORGETTING, ckd, negative_kl, negative_learning, uniform
from atesc_core.training.divergence import kl_divergence, masked_mean


def logits(*rows: list[float]) -> torch.Tensor:
    """Logits whose softmax is exactly the given probabilities."""
    return torch.tensor(rows).log()


T = logits([0.5, 0.25, 0.25], [0.8, 0.1, 0.1])
S = logits([0.25, 0.5, 0.25], [0.8, 0.1, 0.1])


def test_kl_by_hand():
    assert torch.allclose(kl_divergence(T, S), torch.tensor([0.25 * math.log(2), 0.0]), atol=1e-6)


def test_kl_at_a_temperature_keeps_the_gradients_size():
    """At a high temperature T²·KL tends to half the variance of the centred logit difference: here exact to 1 %."""
    t, s = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert math.isclose(kl_divergence(t, s, 100.0).item(), 0.5 * 0.25, rel_tol=0.01)


def test_the_gradient_at_a_temperature_is_up_to_so_many_times_as_large():
    """T²·KL pulls by T times a difference of probabilities: λ, at temperature 1, weighs less the surer the teacher."""

    def pull(teacher: torch.Tensor, temperature: float) -> float:
        student = torch.zeros_like(teacher, requires_grad=True)
        (gradient,) = torch.autograd.grad(kl_divergence(teacher, student, temperature).sum(), student)
        return gradient.norm().item()

    unsure, sure, over_confident = (torch.tensor([[margin, 0.0, 0.0]]) for margin in (1.0, 10.0, 300.0))
    assert pull(unsure, 20.0) == pytest.approx(pull(unsure, 1.0), rel=0.1)
    assert 2 < pull(sure, 20.0) / pull(sure, 1.0) < 6
    assert pull(over_confident, 20.0) == pytest.approx(20 * pull(over_confident, 1.0), rel=0.01)


def test_ckd_is_the_mean_over_the_fragile():
    assert torch.isclose(ckd(T, S, torch.tensor([True, False])), torch.tensor(0.25 * math.log(2)))
    assert torch.isclose(ckd(T, S, torch.tensor([True, True])), torch.tensor(0.125 * math.log(2)))


def test_negative_kl_stops_at_its_clamp():
    assert torch.allclose(negative_kl(T, S, 10.0)[0], torch.tensor(-0.25 * math.log(2)))
    assert torch.allclose(negative_kl(T, S, 0.1)[0], torch.tensor(-0.1))


def test_uniform_is_zero_at_uniform_and_by_hand():
    assert torch.allclose(uniform(T, torch.zeros(2, 3), 0.0), torch.zeros(2), atol=1e-6)
    expected = math.log(1 / 3) - (math.log(0.25) + math.log(0.5) + math.log(0.25)) / 3
    assert math.isclose(uniform(T, S, 0.0)[0].item(), expected, rel_tol=1e-5)


def test_negative_learning_is_minus_log_of_the_rest():
    assert torch.allclose(negative_learning(T, S, 0.0), torch.tensor([-math.log(0.75), -math.log(0.2)]), atol=1e-6)


def test_negative_learning_stays_finite_when_the_student_is_sure():
    sure = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = negative_learning(T[:1], sure, 0.0).sum()
    loss.backward()
    assert loss.isfinite()
    assert sure.grad.isfinite().all()


@pytest.mark.parametrize("name", FORGETTING)
@pytest.mark.parametrize("group", [[False, False], [True, True], [True, False]])
def test_either_group_may_be_empty(name, group):
    fragile = torch.tensor(group)
    student = S.clone().requires_grad_()
    loss = ckd(T, student, fragile) + masked_mean(FORGETTING[name](T, student, 1.0), ~fragile)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()


def test_an_empty_group_has_no_gradient():
    student = S.clone().requires_grad_()
    ckd(T, student, torch.tensor([False, False])).backward()
    assert not student.grad.any()
