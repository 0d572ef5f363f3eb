"""Where images lie in the teacher's feature space: a still map of real ID and OOD, and synthetic images on it.

``PCAMap`` answers at once. ``ReferenceMap`` is UMAP, which takes tens of seconds to import and to fit: it runs in a
process of its own, keeps what it found on disk and is asked again until it has an answer. ``knn_distance``
is measured in feature space itself, because UMAP pulls far points onto the clusters that are there.
"""

from atesc_core.embedding.distance import distance_to_others, knn_distance, nearer_to_ood, nearest
from atesc_core.embedding.linear import PCAMap
from atesc_core.embedding.reference import ReferenceMap, Status

__all__ = ["PCAMap", "ReferenceMap", "Status", "distance_to_others", "knn_distance", "nearer_to_ood", "nearest"]
