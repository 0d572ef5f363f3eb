"""Attacks on a linear two-class model, whose L∞ distance to the boundary is known: margin / ‖w_y − w_o‖₁."""

from __future__ import annotations

import pytest
import torch

from atesc_core.robustness.attack import flips, margins, min_epsilon, normalised_loss, pgd, pgd_early_exit
from atesc_core.robustness.scores import SCORES, all_scores
from atesc_core.robustness.split import fragile, split_by_score
from atesc_core.robustness.strong_attack import strong_flips
from atesc_core.specs.run import SplitSpec


def linear(seed: int = 0):
    """(model, x, y, exact): images around mid-grey, so that clipping to [0, 1] never bites; exact in 1/255."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(2, 3 * 4 * 4, generator=random)
    x = 0.5 + 0.02 * torch.randn(64, 3, 4, 4, generator=random)
    model = lambda images: (images - 0.5).flatten(1) @ weight.T  # noqa: E731
    logits = model(x)
    gap = (logits[:, 0] - logits[:, 1]).abs()
    return model, x, logits.argmax(1), 255 * gap / (weight[0] - weight[1]).norm(p=1)


def generator():
    return torch.Generator().manual_seed(1)


def test_min_epsilon_is_the_exact_distance_of_a_linear_model():
    model, x, y, exact = linear()
    found = min_epsilon(model, x, y, 32, 20, bisections=12)
    assert torch.isfinite(found).all()
    assert (found >= exact - 1e-3).all()
    assert (found - exact).abs().max() < 32 / 2**12 + 1e-3


def test_pgd_flips_exactly_those_within_the_budget():
    model, x, y, exact = linear()
    epsilon = float(exact.median()) + 0.01
    attack = pgd(model, x, y, epsilon, 20, generator())
    assert torch.equal(attack.flipped, exact < epsilon)
    assert torch.equal(attack.margin < 0, attack.flipped)


def test_the_cheap_attack_flips_exactly_those_within_the_budget():
    model, x, y, exact = linear()
    for epsilon in exact.quantile(torch.tensor([0.1, 0.5, 0.9])) + 1e-3:
        assert torch.equal(flips(model, x, y, float(epsilon), 4), exact < epsilon)
    assert torch.equal(flips(model, x, y, exact * 1.001, 4), torch.ones(64, dtype=torch.bool))
    assert flips(model, x, 1 - y, 0.0, 4).all()  # not y to begin with


def test_the_cheap_attack_goes_on_where_its_first_step_does_not_settle_it():
    """The margin of y is 4 |mean − 0.5| − 0.2; from 0.6, where it is 0.2, a step of the whole budget may overshoot."""

    def model(images):
        margin = 4 * (images.mean((1, 2, 3)) - 0.5).abs() - 0.2
        return torch.stack([margin, torch.zeros_like(margin)], 1)

    x, y = torch.full((1, 3, 4, 4), 0.6), torch.tensor([0])
    assert flips(model, x, y, 255 * 0.04, 4).tolist() == [False]  # at 0.56, margin 0.04
    assert flips(model, x, y, 255 * 0.13, 4).tolist() == [True]  # at 0.47, margin −0.08
    assert flips(model, x, y, 255 * 0.17, 4).tolist() == [True]  # at 0.43, margin 0.08; then 0.702 and 0.498
    assert flips(model, x, y, 255 * 0.20, 4).tolist() == [True]  # at 0.4, margin 0.2 as before; then 0.72 and 0.48


def confident(scale: float):
    """(model, images): a random network with logits that a factor spreads, as an over-confident teacher's are."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(48, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10, bias=False)
    ).requires_grad_(False)
    x = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return (lambda images: scale * 20 * network(images)), x


@pytest.mark.parametrize("scale", [4, 16])
def test_a_scaled_head_changes_no_split(scale):
    """An attack on cross-entropy fails here: its gradient weighs labels by temperature, and vanishes at last."""
    (model, x), (scaled, _) = confident(1), confident(scale)
    y = model(x).argmax(1)
    for epsilon in (2.0, 8.0, 24.0):
        assert torch.equal(flips(model, x, y, epsilon, 4), flips(scaled, x, y, epsilon, 4))
        one, other = (pgd(each, x, y, epsilon, 10, generator()) for each in (model, scaled))
        assert torch.equal(one.margin.sign(), other.margin.sign())
        assert torch.equal(one.adversarial, other.adversarial)
    found = min_epsilon(model, x, y, 32, 4)
    assert torch.equal(found, min_epsilon(scaled, x, y, 32, 4))
    assert found.isfinite().float().mean() > 0.5


def test_a_factor_that_is_no_power_of_two_changes_hardly_a_split():
    (model, x), (scaled, _) = confident(1), confident(7.3)
    found, other = (min_epsilon(each, x, model(x).argmax(1), 32, 4) for each in (model, scaled))
    assert (found == other).float().mean() > 0.98


@pytest.mark.parametrize("margin", [0.1, 17.0, 100.0, 1e4])
def test_the_gradient_never_vanishes(margin):
    logits = torch.tensor([[margin, 0.0, -margin, -2 * margin]], requires_grad=True)
    (gradient,) = torch.autograd.grad(normalised_loss(logits, torch.tensor([0])).sum(), logits)
    assert gradient[0, 0] < 0
    assert gradient[0, 1] > 0
    assert (gradient * margin).abs().amax() == pytest.approx(10 / 3)  # the range of 10 over that of the logits


def test_equal_logits_have_a_finite_gradient():
    logits = torch.zeros(1, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(normalised_loss(logits, torch.tensor([0])).sum(), logits)
    assert gradient.isfinite().all()
    assert gradient[0, 0] < 0


@pytest.mark.parametrize("attack", [strong_flips, lambda *args: flips(*args[:4], 8)])
def test_the_strong_attack_finds_the_exact_distance_too(attack):
    """Of a linear model, with a third logit that is never the best, so that DLR is defined."""
    model, x, y, exact = linear()
    three = lambda images: torch.cat([model(images), torch.full((len(images), 1), -50.0)], 1)  # noqa: E731
    for epsilon in exact.quantile(torch.tensor([0.1, 0.5, 0.9])) + 1e-2:
        assert torch.equal(attack(three, x, y, float(epsilon), generator()), exact < epsilon)


def test_the_strong_attack_flips_more_than_the_cheap_one():
    model, x = confident(1)
    y = model(x).argmax(1)
    for epsilon in (1.0, 2.0, 4.0):
        strong, cheap, cheaper = (
            strong_flips(model, x, y, epsilon, generator()),
            flips(model, x, y, epsilon, 8),
            flips(model, x, y, epsilon, 1),
        )
        assert not (cheap & ~strong).any()
        assert strong.sum() >= cheap.sum() >= cheaper.sum()


def test_adversarial_images_stay_in_the_budget_and_in_range():
    model, x, y, _ = linear()
    x = x.clone()
    x[0], x[1] = 0.0, 1.0
    attack = pgd(model, x, y, 8.0, 5, generator())
    assert attack.adversarial.min() >= 0
    assert attack.adversarial.max() <= 1
    assert (attack.adversarial - x).abs().max() <= 8 / 255 + 1e-6


def test_an_attack_that_never_succeeds_scores_infinity_and_a_wrong_start_zero():
    model, x, y, exact = linear()
    assert min_epsilon(model, x, y, float(exact.min()) / 2, 5).isinf().all()
    assert (min_epsilon(model, x, 1 - y, 32, 5) == 0).all()


def test_the_input_is_not_changed_and_no_gradient_reaches_the_model():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    _, x, _, _ = linear()
    before = x.clone()
    pgd(model, x, model(x).argmax(1), 4.0, 3, generator())
    assert torch.equal(x, before)
    assert all(p.grad is None for p in model.parameters())


def test_an_attack_goes_on_from_logits_that_are_there_and_asks_the_model_once_less():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    _, x, _, _ = linear()
    asked = []

    def teacher(images):
        asked.append(len(images))
        return model(images)

    logits = teacher(x.requires_grad_())
    y = logits.argmax(1)
    joined, asked_then = pgd_early_exit(teacher, x, y, 4.0, 3, logits), asked[1:]
    asked.clear()
    alone = pgd_early_exit(teacher, x.detach(), y, 4.0, 3)
    assert all(torch.equal(one, other) for one, other in zip(joined, alone, strict=True))
    assert not joined[0].requires_grad
    assert [len(x), *asked_then] == asked


def test_margins_by_hand():
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 4.0, 1.0]])
    assert torch.allclose(margins(logits, torch.tensor([0, 2])), torch.tensor([0.5, -3.0]))


@pytest.mark.parametrize("score", ["min_eps", "margin"])
def test_every_score_gives_the_papers_split(score):
    """min_eps > ε and margin > 0 at ε are the same question."""
    model, x, _, exact = linear()
    epsilon = float(exact.median()) + 0.01
    split = SplitSpec(score=score, epsilon=epsilon, steps=20)
    threshold = epsilon if score == "min_eps" else 0.0
    assert torch.equal(fragile(model, x, model(x).argmax(1), split, threshold, generator()), exact <= epsilon)


def test_all_scores_are_larger_for_the_more_robust():
    model, x, _, exact = linear()
    scores = all_scores(model, x, SplitSpec(steps=20, epsilon=1.0), generator(), batch_size=50)
    assert scores.keys() == SCORES.keys()
    assert all(values.shape == (64,) for values in scores.values())
    for values in (scores["min_eps"], scores["margin"], scores["kl"]):
        assert torch.corrcoef(torch.stack([values, exact]))[0, 1] > 0.8


def test_split_puts_the_threshold_itself_with_the_fragile():
    assert split_by_score(torch.tensor([1.0, 2.0, 3.0, torch.inf]), 2.0).tolist() == [True, True, False, False]
