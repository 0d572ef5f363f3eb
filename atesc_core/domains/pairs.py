"""Pairs of an ID and an OOD domain, and what a teacher must do on the OOD side."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import get_args

import numpy as np
import torch

from atesc_core.domains.catalogue import DOMAINS, class_samples, domain_classes, load_domain, version
from atesc_core.domains.domain import Domain, ImageSet
from atesc_core.domains.folder import PREFIX
from atesc_core.domains.triggers import TRIGGERS, stamp
from atesc_core.errors import DomainError
from atesc_core.vocabulary import SETTING_METRIC, Setting

TARGET = 0  # the designated label, unless another is named (ours; BadNets' custom)


@dataclass(frozen=True)
class Pair:
    """``target`` is the label an NTL teacher gives to OOD images (open-set, backdoor), else None."""

    name: str
    setting: Setting
    id: str
    ood: str
    target: int | None = None
    trigger: str | None = None

    @property
    def metric(self) -> str:
        """What is reported beside IAcc: ``oacc`` (higher is better), ``olacc`` or ``asr`` (lower is better)."""
        return SETTING_METRIC[self.setting]

    @property
    def offline(self) -> bool:
        """Whether neither domain needs a download."""
        return all(name.startswith(PREFIX) or not DOMAINS[name].needs for name in (self.id, self.ood))

    @property
    def missing(self) -> tuple[str, ...]:
        """The domains of it that are still to be downloaded."""
        return tuple(
            name
            for name in dict.fromkeys((self.id, self.ood))
            if not name.startswith(PREFIX) and DOMAINS[name].status == "downloadable"
        )


PAPER = ("svhn-mnistm", "cifar10-stl10", "svhn-cifar10", "cifar10-digits5")  # the paper's own
PAIRS: dict[str, Pair] = {
    pair.name: pair
    for pair in (
        Pair("mnistm-mnist", "close", "mnistm", "mnist"),
        Pair("mnistm-fashion", "open", "mnistm", "fashion", target=TARGET),
        *(Pair(f"mnistm-{name}", "backdoor", "mnistm", "mnistm", target=TARGET, trigger=name) for name in TRIGGERS),
        Pair("svhn-mnistm", "close", "svhn", "mnistm"),
        Pair("cifar10-stl10", "close", "cifar10", "stl10"),
        Pair("svhn-cifar10", "open", "svhn", "cifar10", target=TARGET),
        Pair("cifar10-digits5", "open", "cifar10", "digits5", target=TARGET),
        *(Pair(f"cifar10-{name}", "backdoor", "cifar10", "cifar10", target=TARGET, trigger=name) for name in TRIGGERS),
    )
}


def make_pair(setting: Setting, id: str, ood: str, target: int = TARGET) -> Pair:
    """A pair of a user's own. ``ood`` is a domain, or for the backdoor setting a trigger on ID images.

    Its name says all of it, and ``find_pair`` reads it back. Raises DomainError: unknown setting, domain or trigger;
    the same domain twice; close-set classes that are not the same; a target that is no class of the ID domain.
    """
    if setting not in SETTING_METRIC:
        raise DomainError(f"setting: {setting!r}: expected one of {', '.join(get_args(Setting))}")
    classes = domain_classes(id)
    if setting == "close":
        _check_aligned(id, classes, ood)
        return Pair(shlex.join((setting, id, ood)), setting, id, ood)
    if not 0 <= target < len(classes):
        raise DomainError(f"target: {target}: expected a class of {id}, 0 to {len(classes) - 1}")
    name = shlex.join((setting, id, ood, str(target)))
    if setting == "open":
        _check_other(id, ood)
        domain_classes(ood)
        return Pair(name, setting, id, ood, target)
    if ood not in TRIGGERS:
        raise DomainError(f"trigger: {ood!r} is not known; expected one of {', '.join(TRIGGERS)}")
    return Pair(name, setting, id, id, target, trigger=ood)


def _check_other(id: str, ood: str) -> None:
    if id == ood:
        raise DomainError(f"ood: {ood}: the ID domain itself; expected another domain")


def _check_aligned(id: str, classes: tuple[str, ...], ood: str) -> None:
    """Close-set: a label must mean the same on both sides, so classes are compared by name. Of a frog and a monkey
    NTLBench makes one class, and so do we."""
    _check_other(id, ood)
    others = domain_classes(ood)
    if not all(
        a.casefold() == b.casefold() or {a, b} == {"frog", "monkey"}
        for a, b in zip_longest(classes, others, fillvalue="")
    ):
        raise DomainError(
            f"close-set needs the same classes in both domains: {id} has {_few(classes)}; {ood} has {_few(others)}"
        )


def _few(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} ({', '.join(classes[:4])}{', …' if len(classes) > 4 else ''})"


def find_pair(name: str) -> Pair:
    """A pair by its name: one of PAIRS, or as ``make_pair`` writes it, e.g. ``open mnistm folder:/my/images 0``.

    Raises DomainError where there is none.
    """
    if name in PAIRS:
        return PAIRS[name]
    try:
        words = shlex.split(name)
    except ValueError:
        words = []
    if len(words) == 3 and words[0] in SETTING_METRIC:
        return make_pair(*words)
    if len(words) == 4 and words[0] in SETTING_METRIC and words[3].isdecimal():
        return make_pair(*words[:3], int(words[3]))
    raise DomainError(f"pair: {name!r} is not known; expected 'SETTING ID OOD [TARGET]' or one of {', '.join(PAIRS)}")


@dataclass(frozen=True)
class PairData:
    """The images of a pair. Backdoor: ``ood`` holds stamped ID images; its test set leaves out the
    target class, on which a hit would prove nothing. Labels are always the true ones."""

    pair: Pair
    id: Domain
    ood: Domain


def load_pair(name: str, image_side: int) -> PairData:
    """The images of ``find_pair(name)``. Shared: never written to. Raises DomainError, as load_domain does."""
    pair = find_pair(name)
    return _loaded(pair, image_side, version(pair.id), version(pair.ood))


@cache
def _loaded(pair: Pair, image_side: int, *versions: str) -> PairData:
    id_domain = load_domain(pair.id, image_side)
    ood_domain = load_domain(pair.ood, image_side)
    if pair.trigger:
        ood_domain = _triggered(ood_domain, pair.trigger, pair.target)
    return PairData(pair, id_domain, ood_domain)


def pair_samples(pair: Pair, image_side: int) -> tuple[np.ndarray, np.ndarray]:
    """What either side looks like: (N, 3, S, S) float32 in [0, 1] of ID and of OOD, an image a class. Backdoor: the
    same images without and with the trigger. Raises DomainError as load_pair does."""
    id_images, _ = class_samples(pair.id, image_side)
    if pair.trigger:
        return id_images, stamp(pair.trigger, torch.from_numpy(id_images)).numpy()
    return id_images, class_samples(pair.ood, image_side)[0]


def _triggered(domain: Domain, trigger: str, target: int) -> Domain:
    test = domain.test.where(domain.test.labels != target)
    return Domain(
        f"{domain.name}+{trigger}",
        domain.classes,
        ImageSet(stamp(trigger, domain.train.images), domain.train.labels),
        ImageSet(stamp(trigger, test.images), test.labels),
    )
