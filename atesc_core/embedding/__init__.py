"""Maps of a feature space: real ID and OOD images, and synthetic images among them.

``PCAMap`` is computed at once. ``ReferenceMap`` is UMAP, which takes tens of seconds to import and to fit: a job
(``atesc_core.jobs``) computes it and writes the result to disk. ``knn_distance`` measures in feature space, not on a
map, because UMAP pulls far points onto clusters.
"""

from atesc_core.embedding.distance import distance_to_others, knn_distance, nearer_to_ood, nearest
from atesc_core.embedding.linear import PCAMap
from atesc_core.embedding.reference import ReferenceMap

__all__ = ["PCAMap", "ReferenceMap", "distance_to_others", "knn_distance", "nearer_to_ood", "nearest"]
