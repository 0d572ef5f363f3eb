"""Checks on the division of a domain's images."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from atesc_core.domains.arrays import ArraySplit


def assert_disjoint(split: ArraySplit, distinct: bool = True) -> None:
    """No image is in two parts; ``distinct``: nor twice in one."""
    parts = [{np.ascontiguousarray(image).tobytes() for image in part.images} for part in split]
    assert all(parts)
    assert not any(a & b for a, b in combinations(parts, 2))
    if distinct:
        assert [len(part) for part in parts] == [len(part.labels) for part in split]
