"""TODO: what this module is."""

from __future__ import annotations

from torch import Tensor

OVERREPRESENTED_RATIO = 2.0


def overrepresented(robust_counts: Tensor, fragile_counts: Tensor) -> Tensor:
    """Labels whose share of the robust group is at least twice their share of the fragile group [this lab].

    An OOD trap has a label: the one that the teacher was trained to give to OOD images. Labels that are
    as common among the fragile are only easy digits. Counts are (C,), none negative; returns (C,) bool.
    """
    robust_share = robust_counts / robust_counts.sum().clamp_min(1)
    fragile_share = fragile_counts / fragile_counts.sum().clamp_min(1)
    return (robust_share > 0) & (robust_share >= OVERREPRESENTED_RATIO * fragile_share)
