from __future__ import annotations

import io
import math

import pytest
import torch

from atesc_core.domains.loading import load_pair
from atesc_core.errors import TeacherError
from atesc_core.specs.teacher import METHODS, TeacherRecipe
from atesc_core.teachers import list_teachers
from atesc_core.teachers.ntl import class_mean_cross_entropy, mmd, ntl_loss
from atesc_core.teachers.recipes import RECIPES
from atesc_core.teachers.training import ROUNDS, train_shipped, train_teacher
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator
from atesc_core.training.events import CheckpointReady, EpochDone, RoundDone
from tests.support.tiny_teachers import tiny

SHIPPED = [card.name for card in list_teachers()]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_cards_accuracies_are_what_the_weights_give(name):
    teacher = load_teacher(name)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    measured = Evaluator(data, torch.device("cpu"))(teacher.model).metrics
    assert {name: measured[name] for name in teacher.card.metrics} == pytest.approx(teacher.card.metrics, abs=0.2)
    assert teacher.card.recipe == RECIPES[name]


def test_every_offline_pair_has_both_teachers():
    pairs = {(card.pair, card.kind) for card in list_teachers()}
    assert pairs == {
        (pair, kind) for pair in ("mnistm-mnist", "mnistm-fashion", "mnistm-badnet_sq") for kind in ("SL", "NTL")
    }


def test_mmd_is_zero_for_the_same_features_and_grows_with_distance():
    random = torch.Generator().manual_seed(0)
    a = torch.randn(40, 5, generator=random)
    assert mmd(a, a).item() == pytest.approx(0.0, abs=1e-6)
    assert mmd(a, a + 1) < mmd(a, a + 3)


def test_ntl_loss_by_hand():
    """Two classes, so every cross-entropy is halved, as published; the features are far apart."""
    sure = torch.tensor([[8.0, 0.0], [8.0, 0.0]])
    near, far = torch.zeros(2, 3), torch.full((2, 3), 100.0)
    y = torch.tensor([0, 0])
    ce_right, ce_wrong = torch.log1p(torch.exp(torch.tensor(-8.0))), torch.log1p(torch.exp(torch.tensor(8.0)))
    separation = mmd(near, far).clamp(max=1)
    close = ntl_loss(sure, sure, near, far, y, torch.tensor([1, 1]), None, 0.1, 1.0)
    assert close["total"].item() == pytest.approx((ce_right / 2 - 0.1 * ce_wrong / 2 * separation).item(), rel=1e-5)
    to_one = ntl_loss(sure, sure, near, far, y, torch.tensor([0, 0]), 1, 0.1, 1.0)
    assert to_one["total"].item() == pytest.approx((ce_right / 2 + ce_wrong / 2 - separation).item(), rel=1e-5)


def test_the_losses_have_the_published_scale():
    """The published code: torch.nn.KLDivLoss() of log-probabilities to one-hot labels, its default reduction."""
    random = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 10, generator=random), torch.randint(10, (6,), generator=random)
    published = torch.nn.KLDivLoss()(logits.log_softmax(1), torch.nn.functional.one_hot(labels, 10).float())
    assert class_mean_cross_entropy(logits, labels).item() == pytest.approx(published.item(), rel=1e-6)


def test_an_unknown_recipe_is_named():
    with pytest.raises(TeacherError, match="'nobody'"):
        next(train_shipped("nobody", torch.device("cpu")))


CPU = torch.device("cpu")
TRAININGS = [(method, "mnistm-mnist") for method in METHODS] + [("tntl", "mnistm-fashion")]


def recipe_of(method: str, pair: str, **settings) -> TeacherRecipe:
    return TeacherRecipe(pair=pair, **METHODS[method], **{"epochs": 3, "batch_size": 8} | settings)


def on_disk(state: dict) -> dict:
    """As a worker that begins anew reads it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("method", "pair"), TRAININGS)
def test_a_training_taken_up_from_a_checkpoint_ends_bit_for_bit_as_if_it_had_never_stopped(method, pair):
    recipe, data = recipe_of(method, pair), tiny(pair)
    evaluate = Evaluator(data, CPU)
    events = train_teacher(recipe, data, CPU, evaluate)
    saved = next(on_disk(event.state) for event in events if isinstance(event, CheckpointReady))
    rest, resumed = list(events), list(train_teacher(recipe, data, CPU, evaluate, saved))
    for one, other in zip(rest, resumed, strict=True):
        assert isinstance(one, CheckpointReady) or one == other
    assert (resumed[0].epoch, resumed[-1].epoch) == (2, 3)
    for name, value in rest[-1].state["model"].items():
        assert torch.equal(value, resumed[-1].state["model"][name]), name


@pytest.mark.parametrize(("method", "pair"), TRAININGS)
def test_measuring_changes_nothing_and_every_loss_is_finite(method, pair):
    recipe, data = recipe_of(method, pair), tiny(pair)
    seen, unseen = (list(train_teacher(recipe, data, CPU, evaluate)) for evaluate in (Evaluator(data, CPU), None))
    assert [event.metrics for event in unseen if isinstance(event, EpochDone)] == [{}] * 3
    for name, value in seen[-1].state["model"].items():
        assert torch.equal(value, unseen[-1].state["model"][name]), name
    rounds = [event for event in seen if isinstance(event, RoundDone)]
    assert rounds == [event for event in unseen if isinstance(event, RoundDone)]
    assert all(math.isfinite(value) for event in rounds for value in event.losses.values())


@pytest.mark.parametrize(("batch", "held"), [(8, 4), (4, 8), (32, 1)])
def test_an_epochs_steps_are_shared_out_among_its_rounds(batch, held):
    """32 images; where steps are fewer than rounds, some rounds hold none, and the last always holds one."""
    events = list(train_teacher(recipe_of("sl", "mnistm-mnist", batch_size=batch, epochs=1), tiny("mnistm-mnist"), CPU))
    rounds = [event for event in events if isinstance(event, RoundDone)]
    assert [event.round for event in rounds] == list(range(1, ROUNDS + 1))
    assert sum(bool(event.losses) for event in rounds) == held
    assert rounds[-1].losses
    assert rounds[-1].images == 32


def test_an_ntl_teacher_sees_as_many_ood_images_as_id_ones():
    *_, done, _ = train_teacher(recipe_of("tntl", "mnistm-mnist", epochs=2), tiny("mnistm-mnist"), CPU)
    assert done.images == 2 * 2 * 32


def test_a_batch_that_would_not_fill_is_named():
    with pytest.raises(ValueError, match="batch_size: 33: dark has 32 training images; expected at most 32"):
        next(train_teacher(recipe_of("sl", "mnistm-mnist", batch_size=33), tiny("mnistm-mnist"), CPU))
