"""Features of images: their checks, and a hash of their content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Features = NDArray[np.float32]  # (N, F), the teacher's penultimate layer
Coordinates = NDArray[np.float32]  # (N, 2)


def check_features(features: ArrayLike, name: str, width: int | None = None) -> Features:
    """``features`` as (N, F) float32.

    Args:
        features: One row per image.
        name: The name to use in an error message.
        width: The expected F; None allows any.

    Raises:
        ValueError: They have another shape, or are not finite.
    """
    array = np.asarray(features, np.float32)
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        raise ValueError(f"{name}: shape {array.shape}; expected (N, {width or 'F'})")
    invalid_rows = int((~np.isfinite(array)).any(1).sum())
    if invalid_rows:
        raise ValueError(f"{name}: {invalid_rows} of {len(array)} rows are not finite")
    return array


def content_hash(*arrays: NDArray[np.generic], **settings: Any) -> str:
    """A hash, 24 hex digits: equal for equal arrays and settings, in every process and on every machine."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
