"""PCA: the map that is there at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from atesc_core.embedding.features import Coordinates, checked


@dataclass(frozen=True)
class PCAMap:
    """The two directions of most variance among real ID and OOD features. ``explained``: their shares, 0..1."""

    mean: np.ndarray  # (F,)
    directions: np.ndarray  # (2, F)
    explained: tuple[float, float]

    @classmethod
    def fit(cls, id_features: ArrayLike, ood_features: ArrayLike) -> PCAMap:
        """Deterministic: an exact decomposition whose signs are fixed. Raises ValueError for unusable features."""
        from sklearn.decomposition import PCA

        known = checked(id_features, "ID features")
        both = np.concatenate([known, checked(ood_features, "OOD features", known.shape[1])])
        if min(both.shape) < 2:
            raise ValueError(f"features: {both.shape}; expected at least two images and two features")
        found = PCA(2, svd_solver="full").fit(both)
        return cls(found.mean_, found.components_, tuple(map(float, found.explained_variance_ratio_)))

    def transform(self, features: ArrayLike) -> Coordinates:
        """(N, F) -> (N, 2)."""
        return ((checked(features, "features", len(self.mean)) - self.mean) @ self.directions.T).astype(np.float32)
