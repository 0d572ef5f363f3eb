import numpy as np
import pytest


@pytest.fixture(scope="session")
def clusters():
    """ID: two clusters of 50 in 12 dimensions; OOD: one of 100, far from both."""
    random = np.random.default_rng(0)
    centres = np.eye(3, 12, dtype=np.float32) * 30
    near = lambda centre, count: (centre + random.normal(0, 1, (count, 12))).astype(np.float32)  # noqa: E731
    return np.concatenate([near(centres[0], 50), near(centres[1], 50)]), near(centres[2], 100)
