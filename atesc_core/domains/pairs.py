"""Pairs of an ID and an OOD domain, and the behaviour of an NTL teacher on OOD images."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import zip_longest

from atesc_core.domains.catalogue import DOMAINS, domain_classes
from atesc_core.domains.folder import is_folder
from atesc_core.errors import DomainError
from atesc_core.vocabulary import SETTING_METRIC, SETTINGS, Metric, Setting

TRIGGER_NAMES = ("badnet_sq", "badnet_grid", "blend", "sig")  # the keys of triggers.TRIGGERS, here without PyTorch
TARGET = 0  # default label for OOD images (chosen by this lab, usual for BadNets)


@dataclass(frozen=True)
class Pair:
    """An ID and an OOD domain by name, and the behaviour of an NTL teacher on OOD images."""

    name: str
    setting: Setting
    id: str
    ood: str  # backdoor: the ID domain again
    target: int | None = None  # the label that an NTL teacher gives OOD images (open-set, backdoor)
    trigger: str | None = None  # backdoor: the trigger on OOD images, one of TRIGGER_NAMES

    @property
    def metric(self) -> Metric:
        """The metric on OOD images: ``oacc`` (higher is better), ``olacc`` or ``asr`` (lower is better)."""
        return SETTING_METRIC[self.setting]

    @property
    def offline(self) -> bool:
        """Whether neither domain needs a download."""
        return all(is_folder(name) or not DOMAINS[name].needs for name in (self.id, self.ood))

    @property
    def missing(self) -> tuple[str, ...]:
        """Its domains that are not downloaded yet."""
        return tuple(
            name
            for name in dict.fromkeys((self.id, self.ood))
            if not is_folder(name) and DOMAINS[name].status == "downloadable"
        )


PAPER = ("svhn-mnistm", "cifar10-stl10", "svhn-cifar10", "cifar10-digits5")  # the pairs of the paper
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


def pair_warnings(pair: Pair) -> list[str]:
    """Sentences on what in a pair is allowed, but probably a mistake. Reads no image.

    Raises:
        DomainError: a folder of the pair cannot be listed.
    """
    if pair.setting != "open" or set(domain_classes(pair.id)) != set(domain_classes(pair.ood)):
        return []
    return [
        f"{pair.name}: both domains have the same classes. In the open-set setting OOD images have others; with the "
        "same, close is the setting"
    ]


def make_pair(setting: str, id_domain: str, ood: str, target: int = TARGET) -> Pair:
    """A new pair. Its name holds all its fields, and `find_pair` reads it back.

    Args:
        setting: One of SETTINGS.
        id_domain: Name of the ID domain.
        ood: Name of the OOD domain; backdoor: name of a trigger.
        target: The label for OOD images, an index of a class of the ID domain; not used for close-set pairs.

    Raises:
        DomainError: unknown setting, domain or trigger; the same domain twice; close-set domains whose classes
            differ; a target that is no class of the ID domain.
    """
    pair, classes = _named(setting, id_domain, ood, target), domain_classes(id_domain)
    if pair.setting == "close":
        _check_aligned(id_domain, classes, ood)
        return pair
    if not 0 <= target < len(classes):
        raise DomainError(f"target: {target}: expected a class of {id_domain}, 0 to {len(classes) - 1}")
    if pair.setting == "open":
        _check_other(id_domain, ood)
        domain_classes(ood)
    return pair


def _named(setting: str, id_domain: str, ood: str, target: int = TARGET) -> Pair:
    """As `make_pair`, but no domain is looked up and no folder opened."""
    setting = _known_setting(setting)
    if setting == "close":
        return Pair(shlex.join((setting, id_domain, ood)), setting, id_domain, ood)
    name = shlex.join((setting, id_domain, ood, str(target)))
    if setting == "open":
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
    ood_classes = domain_classes(ood)
    if not all(
        a.casefold() == b.casefold() or {a, b} == {"frog", "monkey"}
        for a, b in zip_longest(classes, ood_classes, fillvalue="")
    ):
        raise DomainError(
            f"close-set needs the same classes in both domains: {id_domain} has {_summary(classes)}; "
            f"{ood} has {_summary(ood_classes)}"
        )


def _summary(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} ({', '.join(classes[:4])}{', …' if len(classes) > 4 else ''})"


def find_pair(name: str) -> Pair:
    """A pair by name: one of PAIRS, or as `make_pair` names it, such as ``open mnistm folder:/my/images 0``.

    Raises:
        DomainError: the pair does not exist.
    """
    return PAIRS[name] if name in PAIRS else make_pair(*_parts(name))


def read_pair(name: str) -> Pair:
    """The pair that a name says. Unlike `find_pair` it opens no folder, which may be gone or hold other classes now.

    Raises:
        DomainError: it is not the name of a pair.
    """
    return PAIRS[name] if name in PAIRS else _named(*_parts(name))


def _parts(name: str) -> tuple[str, str, str, int]:
    """The arguments of `make_pair` that made this name. Raises DomainError."""
    try:
        parts = shlex.split(name)
    except ValueError:
        parts = []
    if len(parts) == 3 and parts[0] in SETTINGS:
        return parts[0], parts[1], parts[2], TARGET
    if len(parts) == 4 and parts[0] in SETTINGS and parts[3].isdecimal():
        return parts[0], parts[1], parts[2], int(parts[3])
    raise DomainError(f"pair: {name!r} is not known; expected 'SETTING ID OOD [TARGET]' or one of {', '.join(PAIRS)}")
