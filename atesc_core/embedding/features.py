"""What counts as features, and their name by content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Features = NDArray[np.float32]  # (N, F), the teacher's penultimate layer
Coordinates = NDArray[np.float32]  # (N, 2)


def checked(features: ArrayLike, name: str, width: int | None = None) -> Features:
    """``features`` as (N, F) float32. Raises ValueError where they are not that, or not finite."""
    found = np.asarray(features, np.float32)
    if found.ndim != 2 or (width is not None and found.shape[1] != width):
        raise ValueError(f"{name}: shape {found.shape}; expected (N, {width or 'F'})")
    wrong = int((~np.isfinite(found)).any(1).sum())
    if wrong:
        raise ValueError(f"{name}: {wrong} of {len(found)} rows are not finite")
    return found


def content_hash(*arrays: NDArray[np.generic], **settings: Any) -> str:
    """The same for the same numbers and settings, in every process and on every machine."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
