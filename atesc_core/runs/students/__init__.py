"""A run's students, epoch by epoch: which are kept, and what each makes of images.

What they make of them is computed by ``python -m atesc_core.runs.students`` and kept under a hash of student and
images;
nothing but that computing imports torch.
"""

from atesc_core.runs.students.agreement import agreement
from atesc_core.runs.students.views import View, answers, features

__all__ = ["View", "agreement", "answers", "features"]
