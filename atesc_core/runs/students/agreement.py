"""How far students go along with the teacher on some images: agreement, not accuracy, for no label here is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd


def agreement(
    answers: Mapping[int, np.ndarray], labels: np.ndarray, chosen: Iterable[int] | None = None
) -> pd.DataFrame:
    """Columns ``epoch``; ``same``, per cent of the images that the student of that epoch gives the teacher's label;
    ``sure``, its mean probability of that label, in per cent.

    answers: epoch of a student -> (N, C) its probabilities; labels: (N,) the teacher's; chosen: of which images (all).
    """
    chosen = np.arange(len(labels)) if chosen is None else np.asarray(list(chosen), int)
    own = labels[chosen]
    rows = [
        (epoch, 100 * np.mean(said[chosen].argmax(1) == own), 100 * np.mean(said[chosen, own], dtype=float))
        for epoch, said in sorted(answers.items())
    ]
    return pd.DataFrame(rows, columns=["epoch", "same", "sure"])
