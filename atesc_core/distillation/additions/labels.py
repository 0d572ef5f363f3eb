"""Over-represented labels. They show which label an NTL teacher gives to OOD images [this lab]."""

from __future__ import annotations

from torch import Tensor

OVERREPRESENTED_RATIO = 2.0


def overrepresented(robust_counts: Tensor, fragile_counts: Tensor) -> Tensor:
    """Which labels make up at least twice as large a share of the robust group as of the fragile group [this lab].

    An NTL teacher gives OOD images one label, with robust predictions. A label that is equally common in both groups
    belongs to ID images that happen to be robust.

    Args:
        robust_counts: (C,) images of each label in the robust group, not negative.
        fragile_counts: (C,) the same for the fragile group.

    Returns:
        (C,) bool.
    """
    robust_share = robust_counts / robust_counts.sum().clamp_min(1)
    fragile_share = fragile_counts / fragile_counts.sum().clamp_min(1)
    return (robust_share > 0) & (robust_share >= OVERREPRESENTED_RATIO * fragile_share)
