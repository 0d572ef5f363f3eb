"""How far images are from real ones, in feature space itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atesc_core.embedding.features import check_features


def knn_distance(features: ArrayLike, reference: ArrayLike, neighbours: int = 10) -> NDArray[np.float64]:
    """Mean Euclidean distance to the nearest ``neighbours`` of ``reference``: (N, F), (M, F) -> (N,).

    All of the reference counts where it has fewer. Raises ValueError where it is empty.
    """
    from sklearn.neighbors import NearestNeighbors

    known = check_features(reference, "reference")
    queries = check_features(features, "features", known.shape[1])
    if not len(known) or neighbours < 1:
        raise ValueError(f"reference: {len(known)} images, neighbours: {neighbours}; expected at least one of each")
    if not len(queries):
        return np.empty(0)
    # In double precision: the fast way to distances, by squares, loses small ones in single.
    search = NearestNeighbors(n_neighbors=min(neighbours, len(known))).fit(known.astype(float))
    distances: NDArray[np.float64] = search.kneighbors(queries.astype(float))[0]
    means: NDArray[np.float64] = distances.mean(1)
    return means


def distance_to_others(features: ArrayLike, neighbours: int = 10) -> NDArray[np.float64]:
    """``knn_distance`` of each to all the others: (N, F) -> (N,). Raises ValueError where there are no others."""
    known = check_features(features, "features")
    if len(known) < 2:
        raise ValueError(f"features: {len(known)} images; expected at least 2")
    neighbours = min(neighbours, len(known) - 1)
    # Nearest to each is itself, at 0: so many more, and their mean over one fewer.
    return knn_distance(known, known, neighbours + 1) * (neighbours + 1) / neighbours


def nearer_to_ood(to_id: ArrayLike, to_ood: ArrayLike) -> float:
    """Per cent of images that are nearer to real OOD than to real ID, by their distances to each, (N,) and (N,)."""
    return float(100 * (np.asarray(to_ood) < np.asarray(to_id)).mean())


def nearest(feature: ArrayLike, reference: ArrayLike, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and distances of the ``count`` images of ``reference``, (M, F), nearest to ``feature``, (F,)."""
    known = check_features(reference, "reference")
    query = check_features(np.asarray(feature)[None], "feature", known.shape[1])
    distances = np.linalg.norm(known.astype(float) - query, axis=1)
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]
