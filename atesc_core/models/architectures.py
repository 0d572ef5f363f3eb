"""The table of architectures, for teachers and students."""

from __future__ import annotations

import torch

from atesc_core.models.base import Architecture, Classifier
from atesc_core.models.resnet import RESNETS
from atesc_core.models.small import SMALL
from atesc_core.models.vgg import VGGS
from atesc_core.models.wrn import WRNS

ARCHITECTURES: dict[str, Architecture] = {**SMALL, **VGGS, **RESNETS, **WRNS}
CLASSES = range(2, 10_001)


def build(arch: str, num_classes: int, seed: int = 0) -> Classifier:
    """A classifier with new random weights. The global random state does not change.

    Args:
        arch: a name in ARCHITECTURES.
        num_classes: one of CLASSES.
        seed: seed of the weights.

    Raises:
        ValueError: the architecture is unknown or the number of classes is not possible.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"arch: {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    if num_classes not in CLASSES:
        raise ValueError(f"num_classes: {num_classes}: expected {CLASSES[0]} to {CLASSES[-1]}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[arch](num_classes)
