"""Distances between images in feature space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atesc_core.embedding.features import check_features


def knn_distance(features: ArrayLike, reference: ArrayLike, neighbours: int = 10) -> NDArray[np.float64]:
    """Mean Euclidean distance to the nearest ``neighbours`` of ``reference``: (N, F), (M, F) -> (N,).

    If the reference has fewer rows, all of them count. Raises ValueError if it is empty.
    """
    from sklearn.neighbors import NearestNeighbors

    known_features = check_features(reference, "reference")
    queries = check_features(features, "features", known_features.shape[1])
    if not len(known_features) or neighbours < 1:
        raise ValueError(
            f"reference: {len(known_features)} images, neighbours: {neighbours}; expected at least one of each"
        )
    if not len(queries):
        return np.empty(0)
    # In double precision: scikit-learn computes distances from squares, which in single precision loses small ones.
    search = NearestNeighbors(n_neighbors=min(neighbours, len(known_features))).fit(known_features.astype(float))
    distances: NDArray[np.float64] = search.kneighbors(queries.astype(float))[0]
    means: NDArray[np.float64] = distances.mean(1)
    return means


def distance_to_others(features: ArrayLike, neighbours: int = 10) -> NDArray[np.float64]:
    """``knn_distance`` of each image to all others: (N, F) -> (N,). Raises ValueError for fewer than 2 images."""
    known_features = check_features(features, "features")
    if len(known_features) < 2:
        raise ValueError(f"features: {len(known_features)} images; expected at least 2")
    neighbours = min(neighbours, len(known_features) - 1)
    # The nearest neighbour of each image is itself, at distance 0: search one more, and take it out of the mean.
    return knn_distance(known_features, known_features, neighbours + 1) * (neighbours + 1) / neighbours


def nearer_to_ood(to_id: ArrayLike, to_ood: ArrayLike) -> float:
    """Per cent of images that are nearer to real OOD than to real ID, by their distances to each, (N,) and (N,)."""
    return float(100 * (np.asarray(to_ood) < np.asarray(to_id)).mean())


def nearest(feature: ArrayLike, reference: ArrayLike, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and distances of the ``count`` images of ``reference``, (M, F), nearest to ``feature``, (F,)."""
    known_features = check_features(reference, "reference")
    query = check_features(np.asarray(feature)[None], "feature", known_features.shape[1])
    distances = np.linalg.norm(known_features.astype(float) - query, axis=1)
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]
