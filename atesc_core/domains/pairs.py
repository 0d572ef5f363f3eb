"""Pairs of an ID and an OOD domain, and what a teacher must do on the OOD side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from atesc_core.domains.domain import Domain, ImageSet
from atesc_core.domains.offline import load_domain
from atesc_core.domains.triggers import stamp

Setting = Literal["close", "open", "backdoor"]
METRICS: dict[Setting, str] = {"close": "oacc", "open": "olacc", "backdoor": "asr"}


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
        return METRICS[self.setting]


PAIRS: dict[str, Pair] = {pair.name: pair for pair in (
    Pair("mnistm-mnist", "close", "mnistm", "mnist"),
    Pair("mnistm-fashion", "open", "mnistm", "fashion", target=0),
    Pair("mnistm-badnet_sq", "backdoor", "mnistm", "mnistm", target=0, trigger="badnet_sq"),
)}


@dataclass(frozen=True)
class PairData:
    """The images of a pair. Backdoor: ``ood`` holds stamped ID images; its test set leaves out the
    target class, on which a hit would prove nothing. Labels are always the true ones."""

    pair: Pair
    id: Domain
    ood: Domain


@cache
def load_pair(name: str, image_side: int) -> PairData:
    """Raises ValueError where there is no such pair."""
    if name not in PAIRS:
        raise ValueError(f"pair: {name!r} is not known; expected one of {', '.join(PAIRS)}")
    pair = PAIRS[name]
    id_domain = load_domain(pair.id, image_side)
    ood_domain = load_domain(pair.ood, image_side)
    if pair.trigger:
        ood_domain = _triggered(ood_domain, pair.trigger, pair.target)
    return PairData(pair, id_domain, ood_domain)


def _triggered(domain: Domain, trigger: str, target: int) -> Domain:
    test = domain.test.where(domain.test.labels != target)
    return Domain(f"{domain.name}+{trigger}", domain.classes,
                  ImageSet(stamp(trigger, domain.train.images), domain.train.labels),
                  ImageSet(stamp(trigger, test.images), test.labels))
