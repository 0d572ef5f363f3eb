"""Pairs of an ID and an OOD domain, and what a teacher must do on the OOD side."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import zip_longest

from atesc_core.domains.catalogue import DOMAINS, domain_classes
from atesc_core.domains.folder import PREFIX
from atesc_core.errors import DomainError
from atesc_core.vocabulary import SETTING_METRIC, SETTINGS, Metric, Setting

TRIGGER_NAMES = ("badnet_sq", "badnet_grid", "blend", "sig")  # the keys of triggers.TRIGGERS, known without PyTorch
TARGET = 0  # the label for OOD images, unless another is named (this lab's choice; BadNets' custom)


@dataclass(frozen=True)
class Pair:
    """An ID and an OOD domain by name, and what an NTL teacher must do on OOD images."""

    name: str
    setting: Setting
    id: str
    ood: str  # backdoor: the ID domain again
    target: int | None = None  # the label that an NTL teacher gives OOD images (open-set, backdoor)
    trigger: str | None = None  # backdoor: what OOD images carry, one of TRIGGER_NAMES

    @property
    def metric(self) -> Metric:
        """What is measured on OOD images: ``oacc`` (higher is better), ``olacc`` or ``asr`` (lower is better)."""
        return SETTING_METRIC[self.setting]

    @property
    def offline(self) -> bool:
        """Whether neither domain needs a download."""
        return all(name.startswith(PREFIX) or not DOMAINS[name].needs for name in (self.id, self.ood))

    @property
    def missing(self) -> tuple[str, ...]:
        """Its domains that are still to be downloaded."""
        return tuple(
            name
            for name in dict.fromkeys((self.id, self.ood))
            if not name.startswith(PREFIX) and DOMAINS[name].status == "downloadable"
        )


PAPER = ("svhn-mnistm", "cifar10-stl10", "svhn-cifar10", "cifar10-digits5")  # those of the paper
PAIRS: dict[str, Pair] = {
    pair.name: pair
    for pair in (
        Pair("mnistm-mnist", "close", "mnistm", "mnist"),
        Pair("mnistm-fashion", "open", "mnistm", "fashion", target=TARGET),
        *(
            Pair(f"mnistm-{name}", "backdoor", "mnistm", "mnistm", target=TARGET, trigger=name)
            for name in TRIGGER_NAMES
        ),
        Pair("svhn-mnistm", "close", "svhn", "mnistm"),
        Pair("cifar10-stl10", "close", "cifar10", "stl10"),
        Pair("svhn-cifar10", "open", "svhn", "cifar10", target=TARGET),
        Pair("cifar10-digits5", "open", "cifar10", "digits5", target=TARGET),
        *(
            Pair(f"cifar10-{name}", "backdoor", "cifar10", "cifar10", target=TARGET, trigger=name)
            for name in TRIGGER_NAMES
        ),
    )
}


def make_pair(setting: str, id_domain: str, ood: str, target: int = TARGET) -> Pair:
    """A new pair, whose name says all of it and is read back by `find_pair`.

    Args:
        setting: One of SETTINGS.
        id_domain: Name of the ID domain.
        ood: Name of the OOD domain; backdoor: of a trigger.
        target: The label for OOD images, a class of the ID domain; close-set pairs have none.

    Raises:
        DomainError: unknown setting, domain or trigger; the same domain twice; close-set domains whose classes
            differ; a target that is no class of the ID domain.
    """
    setting = _known_setting(setting)
    classes = domain_classes(id_domain)
    if setting == "close":
        _check_aligned(id_domain, classes, ood)
        return Pair(shlex.join((setting, id_domain, ood)), setting, id_domain, ood)
    if not 0 <= target < len(classes):
        raise DomainError(f"target: {target}: expected a class of {id_domain}, 0 to {len(classes) - 1}")
    name = shlex.join((setting, id_domain, ood, str(target)))
    if setting == "open":
        _check_other(id_domain, ood)
        domain_classes(ood)
        return Pair(name, setting, id_domain, ood, target)
    if ood not in TRIGGER_NAMES:
        raise DomainError(f"trigger: {ood!r} is not known; expected one of {', '.join(TRIGGER_NAMES)}")
    return Pair(name, setting, id_domain, id_domain, target, trigger=ood)


def _known_setting(name: str) -> Setting:
    for setting in SETTINGS:
        if setting == name:
            return setting
    raise DomainError(f"setting: {name!r}: expected one of {', '.join(SETTINGS)}")


def _check_other(id_domain: str, ood: str) -> None:
    if id_domain == ood:
        raise DomainError(f"ood: {ood}: the ID domain itself; expected another domain")


def _check_aligned(id_domain: str, classes: tuple[str, ...], ood: str) -> None:
    """Close-set: a label must mean the same in both domains, so classes are compared by name.

    A frog and a monkey are one class, as in NTLBench.
    """
    _check_other(id_domain, ood)
    others = domain_classes(ood)
    if not all(
        a.casefold() == b.casefold() or {a, b} == {"frog", "monkey"}
        for a, b in zip_longest(classes, others, fillvalue="")
    ):
        raise DomainError(
            f"close-set needs the same classes in both domains: {id_domain} has {_summary(classes)}; "
            f"{ood} has {_summary(others)}"
        )


def _summary(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} ({', '.join(classes[:4])}{', …' if len(classes) > 4 else ''})"


def find_pair(name: str) -> Pair:
    """A pair by name: one of PAIRS, or as `make_pair` names it, such as ``open mnistm folder:/my/images 0``.

    Raises:
        DomainError: there is no such pair.
    """
    if name in PAIRS:
        return PAIRS[name]
    try:
        words = shlex.split(name)
    except ValueError:
        words = []
    if len(words) == 3 and words[0] in SETTINGS:
        return make_pair(words[0], words[1], words[2])
    if len(words) == 4 and words[0] in SETTINGS and words[3].isdecimal():
        setting, id_name, ood, target = words
        return make_pair(setting, id_name, ood, int(target))
    raise DomainError(f"pair: {name!r} is not known; expected 'SETTING ID OOD [TARGET]' or one of {', '.join(PAIRS)}")
