"""A teacher of the user's own: refused at once where it cannot be, in the list once it is trained."""

from __future__ import annotations

import json
import shlex

import pytest
import torch

from atesc_core.domains import PAIRS
from atesc_core.errors import DomainError, SpecError, TeacherError
from atesc_core.specs.teacher import METHODS, PRESETS, TeacherSpec
from atesc_core.teachers import list_teachers, recipes, training
from atesc_core.teachers.recipes import RECIPES, command, from_preset, taken_names
from atesc_core.teachers.training import check_spec, train_own
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator
from tests.support.tiny_teachers import tiny

QUICK = {"device": "cpu", "epochs": 1, "batch_size": 8}


@pytest.fixture
def tiny_data(monkeypatch):
    """32 images a domain, wherever a pair is loaded."""
    for place in ("atesc_core.teachers.training.load_pair", "atesc_core.teachers.zoo.load_pair"):
        monkeypatch.setattr(place, lambda pair, side: tiny(pair))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_spec_that_its_command_makes_again(preset, method):
    changes = {"epochs": 7, "lr": 1e-5, "alpha": 0.25, "seed": 3, "device": "cpu"}
    spec = from_preset(preset, "mine", "mnistm-mnist", method, **changes)
    assert (spec.preset, spec.trained_by, spec.epochs, spec.lr) == (preset, method, 7, 1e-5)
    *_, name, _, pair, _, typed_method, _, typed_preset = (words := shlex.split(command(spec)))[:10]
    settings = dict(word.split("=") for word in words[11::2])
    assert set(words[10::2]) == {"--set"}
    assert from_preset(typed_preset, name, pair, typed_method).replaced(settings) == spec


def test_the_quick_preset_is_how_the_shipped_teachers_were_trained():
    for card in list_teachers():
        assert from_preset("quick", "mine", card.pair, card.recipe.trained_by).recipe == card.recipe


def test_the_papers_preset_is_paper_scale():
    spec = from_preset("paper", "mine", "svhn-mnistm", "tntl")
    assert (spec.arch, spec.image_side, spec.epochs, spec.batch_size, spec.lr) == ("vgg13_bn", 32, 30, 32, 1e-4)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"name": "mnistm-mnist-sl"}, TeacherError, "name: 'mnistm-mnist-sl' is taken"),
        ({"name": "svhn-mnistm-ntl"}, TeacherError, "is taken"),  # a recipe's, trained or not
        ({"arch": "huge"}, TeacherError, "arch: 'huge' is not known; expected one of small"),
        ({"pair": "nowhere"}, DomainError, "pair: 'nowhere' is not known"),
        ({"pair": "svhn-mnistm"}, DomainError, "svhn: not in .*get it with `atesc domains get svhn`"),
        ({"pair": "cifar10-digits5"}, DomainError, "cifar10: not in .*domains get cifar10"),
        (
            {"pair": "mnistm-fashion", "method": "cuti"},
            ValueError,
            "method: 'cuti' is for close-set pairs; mnistm-fashion",
        ),
    ],
)
def test_what_would_fail_later_is_refused_at_once(tmp_path, monkeypatch, changes, kind, words):
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "no downloads"))
    spec = TeacherSpec(**{"name": "mine", "pair": "mnistm-mnist", "kind": "NTL", **QUICK} | changes)
    with pytest.raises(kind, match=words):
        check_spec(spec, taken_names(tmp_path))


@pytest.mark.parametrize(("field", "typed"), [("preset", ("slow", "sl")), ("method", ("quick", "magic"))])
def test_an_unknown_preset_or_method_is_named(field, typed):
    with pytest.raises(SpecError, match=f"{field}: '.*' is not known; expected one of"):
        from_preset(typed[0], "mine", "mnistm-mnist", typed[1])


def test_how_many_images_an_epoch_learns_from(tiny_data):
    assert check_spec(from_preset("quick", "a", "mnistm-mnist", "sl", batch_size=10), ()) == 30
    assert check_spec(from_preset("quick", "a", "mnistm-mnist", "tntl", batch_size=10), ()) == 60


@pytest.mark.parametrize(
    ("method", "pair"),
    [
        ("sl", "mnistm-mnist"),
        ("tntl", "mnistm-mnist"),
        ("tntl", "mnistm-sig"),
        ("cuti", "mnistm-mnist"),
        ("tntl", "mnistm-fashion"),
    ],
)
def test_a_teacher_of_ones_own_joins_the_list_with_a_card_that_its_weights_keep(tmp_path, tiny_data, method, pair):
    spec = from_preset("quick", "mine", pair, method, **QUICK)
    list(train_own(spec, tmp_path))
    teacher = load_teacher("mine", tmp_path)
    assert teacher.card in list_teachers(tmp_path)
    assert (teacher.card.recipe, teacher.card.command) == (spec.recipe, command(spec))
    measured = Evaluator(tiny(pair), torch.device("cpu"))(teacher.model).metrics
    assert teacher.card.metrics == {name: round(measured[name], 2) for name in ("iacc", PAIRS[pair].metric)}
    assert teacher.card.test_images == {"id": 32, "ood": 32}


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(tmp_path, tiny_data):
    spec = from_preset("quick", "mine", "mnistm-mnist", "sl", **QUICK)
    list(train_own(spec, tmp_path))
    list(train_own(spec, tmp_path))  # the very run, killed between its teacher and its end: the same teacher again
    kept = (tmp_path / "teachers" / "mine.safetensors").read_bytes()
    with pytest.raises(TeacherError, match="name: 'mine' is taken"):
        train_own(spec.replaced({"seed": 1}), tmp_path)
    assert (tmp_path / "teachers" / "mine.safetensors").read_bytes() == kept


def test_a_shipped_teacher_goes_the_same_way_but_into_the_assets(tmp_path, tiny_data, monkeypatch):
    tiny_recipe = RECIPES["mnistm-mnist-ntl"].model_copy(update={"epochs": 1, "batch_size": 8})
    monkeypatch.setitem(recipes.RECIPES, "mnistm-mnist-ntl", tiny_recipe)
    list(training.train_shipped("mnistm-mnist-ntl", torch.device("cpu"), tmp_path))
    list(train_own(TeacherSpec(name="mine", **tiny_recipe.model_dump(), device="cpu"), tmp_path))
    card = json.loads((tmp_path / "mnistm-mnist-ntl.json").read_text())
    assert card["command"] == "atesc teachers train mnistm-mnist-ntl"
    shipped, own = (tmp_path / place for place in ("mnistm-mnist-ntl.safetensors", "teachers/mine.safetensors"))
    assert shipped.read_bytes() == own.read_bytes()
