"""A run's students, epoch by epoch: which are kept (files.py), and what they give for images (outputs.py).

Outputs are computed by ``python -m atesc_core.runs.students`` and cached under a hash of student and images. Only that
process and files.py import torch.
"""

from atesc_core.runs.students.agreement import agreement
from atesc_core.runs.students.outputs import CachedOutput, cached_features, cached_probabilities

__all__ = ["CachedOutput", "agreement", "cached_features", "cached_probabilities"]
