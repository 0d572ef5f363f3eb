"""Agreement of students with the teacher on images. It is no accuracy: synthetic images have no true labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def agreement(
    probabilities: Mapping[int, NDArray[np.float32]], labels: NDArray[np.int64], chosen: Iterable[int] | None = None
) -> pd.DataFrame:
    """Agreement of each student with the teacher, by the student's epoch.

    Args:
        probabilities: epoch -> (N, C), by the student of that epoch.
        labels: (N,) the teacher's labels.
        chosen: indices of the images to count; all images unless given.

    Returns:
        One row per student: ``epoch``; ``agreement``, per cent of the images to which it gives the
        teacher's label; ``confidence``, its mean probability of that label, in per cent.
    """
    indices = np.arange(len(labels)) if chosen is None else np.asarray(list(chosen), int)
    teacher = labels[indices]
    rows = [
        (
            epoch,
            100 * np.mean(student[indices].argmax(1) == teacher),
            100 * np.mean(student[indices, teacher], dtype=float),
        )
        for epoch, student in sorted(probabilities.items())
    ]
    return pd.DataFrame(rows, columns=["epoch", "agreement", "confidence"])
