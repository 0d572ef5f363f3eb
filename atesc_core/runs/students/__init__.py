"""A run's students at the end of its epochs: their files (files.py) and their outputs for images (outputs.py).

Outputs are computed by ``python -m atesc_core.runs.students`` and cached under a hash of student and images. What
only reads the cache needs no torch.
"""

from atesc_core.runs.students.agreement import agreement
from atesc_core.runs.students.outputs import CachedOutput, cached_features, cached_probabilities
from atesc_core.runs.students.validation import ValidationLabels, validation_labels

__all__ = [
    "CachedOutput",
    "ValidationLabels",
    "agreement",
    "cached_features",
    "cached_probabilities",
    "validation_labels",
]
