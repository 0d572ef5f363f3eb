from __future__ import annotations

import pytest
import torch

from atesc_core.domains import PAIRS, PAPER, fetch_domain, find_pair, make_pair
from atesc_core.domains.loading import load_pair, pair_samples
from atesc_core.domains.triggers import TRIGGERS, stamp
from atesc_core.errors import DomainError
from atesc_core.teachers.recipes import RECIPES
from tests.support.published_domains import publish

OFFLINE_PAIRS = [name for name, pair in PAIRS.items() if pair.offline]


def test_the_offline_pairs_are_those_without_a_download():
    assert ["mnistm-mnist", "mnistm-fashion", *(f"mnistm-{name}" for name in TRIGGERS)] == OFFLINE_PAIRS


@pytest.mark.parametrize(
    ("name", "setting"),
    [("svhn-mnistm", "close"), ("cifar10-stl10", "close"), ("svhn-cifar10", "open"), ("cifar10-digits5", "open")],
)
def test_the_papers_pairs_are_presets(name, setting):
    pair = PAIRS[name]
    assert (pair.setting, f"{pair.id}-{pair.ood}", pair.offline) == (setting, name, False)


def test_the_papers_pairs_are_named_and_say_what_is_to_be_downloaded(published):
    assert {name: PAIRS[name].missing for name in PAPER} == {
        "svhn-mnistm": ("svhn",),
        "cifar10-stl10": ("cifar10", "stl10"),
        "svhn-cifar10": ("svhn", "cifar10"),
        "cifar10-digits5": ("cifar10", "digits5"),
    }
    assert not any(PAIRS[name].missing for name in OFFLINE_PAIRS)
    publish(published, "svhn")
    list(fetch_domain("svhn"))
    assert (PAIRS["svhn-mnistm"].missing, PAIRS["svhn-cifar10"].missing) == ((), ("cifar10",))


@pytest.mark.parametrize("pair", [PAIRS[name] for name in OFFLINE_PAIRS], ids=lambda pair: pair.name)
def test_samples_of_a_pair_are_its_test_images(pair):
    id_images, ood_images = pair_samples(pair, 32)
    data = load_pair(pair.name, 32)
    for images, side in ((id_images, data.id), (ood_images, data.id if pair.trigger else data.ood)):
        assert len(images) == len(side.classes)
        first = [side.test.images[int((side.test.labels == label).nonzero()[0])] for label in range(len(side.classes))]
        expected = torch.stack(first)
        if pair.trigger and images is ood_images:
            expected = stamp(pair.trigger, expected)
        assert torch.equal(torch.from_numpy(images), expected)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=lambda pair: pair.name)
def test_every_preset_is_a_pair_that_could_be_made(pair):
    made = make_pair(pair.setting, pair.id, pair.trigger or pair.ood, *[] if pair.target is None else [pair.target])
    assert (made.id, made.ood, made.target, made.trigger) == (pair.id, pair.ood, pair.target, pair.trigger)
    assert find_pair(made.name) == made
    assert find_pair(pair.name) is pair
    assert pair.metric == {"close": "oacc", "open": "olacc", "backdoor": "asr"}[pair.setting]
    assert (pair.target is None) == (pair.setting == "close")
    assert {f"{pair.name}-sl", f"{pair.name}-ntl"} <= RECIPES.keys()


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_backdoor_tests_leave_out_the_target_class_and_keep_true_labels(trigger):
    data = load_pair(f"mnistm-{trigger}", 16)
    for part in ("validation", "test"):
        clean, triggered = getattr(data.id, part), getattr(data.ood, part)
        clean = clean.where(clean.labels != 0)
        assert torch.equal(triggered.labels, clean.labels)
        assert torch.equal(triggered.images, TRIGGERS[trigger](clean.images))


def test_a_pair_of_ones_own_is_loaded_by_its_name():
    pair = make_pair("open", "mnist", "fashion", 3)
    assert pair.name == "open mnist fashion 3"
    data = load_pair(pair.name, 16)
    assert (data.pair, data.id.name, data.ood.name) == (pair, "mnist", "fashion")
    assert load_pair(pair.name, 16).id is data.id  # shared
    stamped = load_pair(make_pair("backdoor", "digits", "sig", 7).name, 16)
    assert (stamped.pair.trigger, stamped.ood.name) == ("sig", "digits+sig")
    assert set(stamped.ood.test.labels.tolist()) == set(range(10)) - {7}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ajar", "mnist", "usps"), "setting: 'ajar': expected one of close, open, backdoor"),
        (("close", "mnist", "imagenet"), "'imagenet' is not known"),
        (("close", "mnist", "mnist"), "expected another domain"),
        (("open", "mnist", "mnist"), "expected another domain"),
        (("close", "mnist", "fashion"), "mnist has 10 .0, 1, 2, 3, ….; fashion has 10 .t-shirt"),
        (("open", "mnist", "fashion", 10), "target: 10: expected a class of mnist, 0 to 9"),
        (("open", "mnist", "fashion", -1), "target: -1"),
        (("backdoor", "mnist", "usps"), "trigger: 'usps' is not known; expected one of badnet_sq"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(words, message):
    with pytest.raises(DomainError, match=message):
        make_pair(*words)


@pytest.mark.parametrize(
    "name", ["", "a-b", "close mnist", "open mnist fashion x", "open 'mnist fashion 0", "close mnist usps 0 1"]
)
def test_unknown_names_are_clear_errors(name):
    with pytest.raises(DomainError, match="pair: .* is not known; expected 'SETTING ID OOD"):
        load_pair(name, 16)
