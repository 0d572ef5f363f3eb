"""The oracle: a classifier of ID against OOD that was trained on both [this lab].

It is an upper bound for robustness scores, and shows whether synthetic images are closer to ID or to OOD. It needs real
data, so it is only displayed: no run can split by it, and it is not in SCORES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Oracle:
    """Logistic regression on the teacher's penultimate features."""

    weight: NDArray[np.float32]  # (F,)
    bias: float

    @classmethod
    def fit(cls, id_features: NDArray[np.float32], ood_features: NDArray[np.float32]) -> Oracle:
        """Fits on features of real training images, (N, F) and (M, F); both domains have equal weight."""
        from sklearn.linear_model import LogisticRegression  # slow to import, and only reports need it

        features = np.concatenate([id_features, ood_features]).astype(float)
        is_ood = np.repeat([0, 1], [len(id_features), len(ood_features)])
        mean, scale = features.mean(0), features.std(0) + 1e-6
        fit = LogisticRegression(class_weight="balanced", max_iter=500).fit((features - mean) / scale, is_ood)
        weight = fit.coef_[0] / scale
        return cls(weight.astype(np.float32), float(fit.intercept_[0] - mean @ weight))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds of OOD of features (N, F), (N,): above 0 means OOD."""
        return (features @ self.weight + self.bias).astype(np.float32)
