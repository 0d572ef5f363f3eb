"""CUTI-domain: the re-styling and the loss by hand, and what a pass through the isolation domain leaves alone."""

from __future__ import annotations

import math

import pytest
import torch

from atesc_core.domains import PAIRS
from atesc_core.errors import SpecError
from atesc_core.models import build
from atesc_core.specs.base import parse
from atesc_core.specs.teacher import TeacherRecipe
from atesc_core.teachers.cuti import cuti_loss, isolation_domain, restyle
from atesc_core.teachers.recipes import RECIPES
from atesc_core.teachers.training import train_teacher
from tests.support.tiny_teachers import tiny


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_restyling_by_hand():
    """Two channels; the mixing takes the mean of the second channel and minus the deviation of the first."""
    style = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])  # means 2 and 5, variances 1 and 0
    content = torch.tensor([[[[10.0, 20.0]], [[-1.0, 0.0]]]])
    mix_mean = torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    mix_std = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    shift = (sigmoid(5), sigmoid(1))
    scale = (sigmoid(-math.sqrt(1 + 1e-5)), sigmoid(math.sqrt(1e-5)))
    expected = [10 * scale[0] + shift[0], 20 * scale[0] + shift[0], -scale[1] + shift[1], shift[1]]
    assert restyle(content, style, mix_mean, mix_std).flatten().tolist() == pytest.approx(expected)


def test_each_image_takes_the_style_of_its_partner_and_a_single_pixel_has_one():
    style = torch.tensor([0.0, 4.0]).view(2, 1, 1, 1)
    eye = torch.ones(1, 1)
    small = sigmoid(math.sqrt(1e-5))
    out = restyle(torch.ones(2, 1, 1, 1), style, eye, eye).flatten().tolist()
    assert out == pytest.approx([small + 0.5, small + sigmoid(4)])


def test_loss_by_hand():
    """Two classes, so every cross-entropy is halved, as published."""
    sure = torch.tensor([[8.0, 0.0]])
    right, wrong = math.log1p(math.exp(-8)), math.log1p(math.exp(8))
    zero, one = torch.tensor([0]), torch.tensor([1])
    assert cuti_loss(sure, sure, zero, one, 0.1)["total"].item() == pytest.approx(right / 2 - 0.1 * wrong / 2)
    assert cuti_loss(sure, sure, zero, one, 1.0)["total"].item() == pytest.approx(right / 2 - 1)


def test_past_the_clamp_ood_has_no_pull():
    logits = torch.tensor([[40.0, 0.0]], requires_grad=True)
    cuti_loss(torch.zeros(1, 2), logits, torch.tensor([0]), torch.tensor([1]), 0.1)["total"].backward()
    assert not logits.grad.any()


@pytest.mark.parametrize("arch", ["small", "vgg11", "wrn_16_2", "resnet18", "vgg13_dense32"])
def test_the_isolation_domain_changes_the_second_half_only_and_only_within(arch):
    model = build(arch, 3).eval()
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = model(x)
        with isolation_domain(model, torch.Generator().manual_seed(1)):
            first = model(x)
        with isolation_domain(model, torch.Generator().manual_seed(1)):
            again = model(x)
        after = model(x)
    assert torch.equal(plain, after)
    assert torch.equal(first, again)
    assert torch.allclose(first[:2], plain[:2], atol=1e-5)
    assert not torch.allclose(first[2:], plain[2:], atol=1e-3)


def test_the_isolation_domain_leaves_the_running_statistics_and_their_pace():
    model = build("small", 3).train()
    before = {key: value.clone() for key, value in model.state_dict().items() if "running" in key}
    with isolation_domain(model, torch.Generator()):
        model(torch.rand(4, 3, 16, 16))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    model(torch.rand(4, 3, 16, 16))
    assert not torch.equal(model.state_dict()["backbone.1.running_mean"], before["backbone.1.running_mean"])


def test_steps_alternate_between_true_ood_images_and_the_isolation_domain(monkeypatch):
    entered = []
    monkeypatch.setattr(
        "atesc_core.teachers.training.isolation_domain",
        lambda model, random: entered.append(1) or isolation_domain(model, random),
    )
    recipe = TeacherRecipe(pair="mnistm-mnist", kind="NTL", method="cuti", epochs=1, batch_size=8)
    list(train_teacher(recipe, tiny("mnistm-mnist"), torch.device("cpu")))
    assert len(entered) == 2  # of 4 steps


@pytest.mark.parametrize("pair", ["mnistm-fashion", "mnistm-badnet_sq"])
def test_off_the_close_set_it_is_refused(pair):
    recipe = TeacherRecipe(pair=pair, kind="NTL", method="cuti", batch_size=8)
    with pytest.raises(ValueError, match="method: 'cuti' is for close-set pairs.*expected 'tntl'"):
        next(train_teacher(recipe, tiny(pair), torch.device("cpu")))


def test_recipes_have_it_by_name_for_close_set_pairs():
    named = {name: recipe for name, recipe in RECIPES.items() if recipe.method == "cuti"}
    assert {"mnistm-mnist-cuti", "mnistm-mnist-cuti-32"} <= named.keys()
    assert all(PAIRS[recipe.pair].setting == "close" and recipe.alpha == 0.1 for recipe in named.values())


def test_an_unknown_method_is_named():
    with pytest.raises(SpecError, match="method: 'ntl'"):
        parse(TeacherRecipe, {"pair": "mnistm-mnist", "kind": "NTL", "method": "ntl"})
