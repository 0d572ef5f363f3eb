"""PCA: the map that is computed at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from atesc_core.embedding.features import Coordinates, check_features


@dataclass(frozen=True)
class PCAMap:
    """The two directions of most variance among real ID and OOD features."""

    mean: np.ndarray  # (F,)
    directions: np.ndarray  # (2, F)
    explained: tuple[float, float]  # share of the variance, 0 to 1, of each direction

    @classmethod
    def fit(cls, id_features: ArrayLike, ood_features: ArrayLike) -> PCAMap:
        """Deterministic: an exact decomposition whose signs are fixed. Raises ValueError for unusable features."""
        from sklearn.decomposition import PCA

        id_rows = check_features(id_features, "ID features")
        all_rows = np.concatenate([id_rows, check_features(ood_features, "OOD features", id_rows.shape[1])])
        if min(all_rows.shape) < 2:
            raise ValueError(f"features: {all_rows.shape}; expected at least two images and two features")
        pca = PCA(2, svd_solver="full").fit(all_rows)
        first, second = pca.explained_variance_ratio_
        return cls(pca.mean_, pca.components_, (float(first), float(second)))

    def transform(self, features: ArrayLike) -> Coordinates:
        """(N, F) -> (N, 2)."""
        centred = check_features(features, "features", len(self.mean)) - self.mean
        positions: Coordinates = (centred @ self.directions.T).astype(np.float32)
        return positions
