from __future__ import annotations

import pytest
import torch

from atesc_core.distillation.evaluation import Evaluator
from atesc_core.domains import load_pair
from atesc_core.teachers import TeacherError, list_teachers, load_teacher
from atesc_core.teachers.recipes import RECIPES, train_shipped
from atesc_core.teachers.training import mmd, ntl_loss

SHIPPED = [card.name for card in list_teachers()]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_cards_accuracies_are_what_the_weights_give(name):
    teacher = load_teacher(name)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    measured = Evaluator(data, torch.device("cpu"))(teacher.model)
    assert measured == pytest.approx(teacher.card.metrics, abs=0.2)
    assert teacher.card.recipe == RECIPES[name]


def test_every_offline_pair_has_both_teachers():
    pairs = {(card.pair, card.kind) for card in list_teachers()}
    assert pairs == {(pair, kind) for pair in ("mnistm-mnist", "mnistm-fashion", "mnistm-badnet_sq")
                     for kind in ("SL", "NTL")}


def test_mmd_is_zero_for_the_same_features_and_grows_with_distance():
    random = torch.Generator().manual_seed(0)
    a = torch.randn(40, 5, generator=random)
    assert mmd(a, a).item() == pytest.approx(0.0, abs=1e-6)
    assert mmd(a, a + 1) < mmd(a, a + 3)


def test_ntl_loss_by_hand():
    """Far-apart features saturate the MMD at the clamp: L_id − min(1, α·L_ood), and L_id + CE(target) − 1."""
    sure = torch.tensor([[8.0, 0.0], [8.0, 0.0]])
    near, far = torch.zeros(2, 3), torch.full((2, 3), 100.0)
    y = torch.tensor([0, 0])
    ce_right, ce_wrong = torch.log1p(torch.exp(torch.tensor(-8.0))), torch.log1p(torch.exp(torch.tensor(8.0)))
    separation = mmd(near, far).clamp(max=1)
    close = ntl_loss(sure, sure, near, far, y, torch.tensor([1, 1]), None, 0.1, 1.0)
    assert close.item() == pytest.approx((ce_right - 0.1 * ce_wrong * separation).item(), rel=1e-5)
    to_one = ntl_loss(sure, sure, near, far, y, torch.tensor([0, 0]), 1, 0.1, 1.0)
    assert to_one.item() == pytest.approx((ce_right + ce_wrong - separation).item(), rel=1e-5)


def test_an_unknown_recipe_is_named():
    with pytest.raises(TeacherError, match="'nobody'"):
        next(train_shipped("nobody", torch.device("cpu")))
