"""Maps of a feature space: real ID and OOD images, and synthetic images among them.

``PCAMap`` is computed at once. ``ReferenceMap`` is UMAP, which takes tens of seconds to import and to fit: a job
computes it (``atesc_core.jobs``) and keeps the result on disk. ``knn_distance`` is measured in feature space itself,
because UMAP pulls far points onto clusters.
"""

from atesc_core.embedding.distance import distance_to_others, knn_distance, nearer_to_ood, nearest
from atesc_core.embedding.linear import PCAMap
from atesc_core.embedding.reference import ReferenceMap

__all__ = ["PCAMap", "ReferenceMap", "distance_to_others", "knn_distance", "nearer_to_ood", "nearest"]
