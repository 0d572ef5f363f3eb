"""Images of a domain as NumPy arrays, divided into train and test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPLIT_SEED = 2025
TRAIN_IMAGES, TEST_IMAGES = 8000, 1000  # the largest numbers for a domain (NTLBench)

Images = NDArray[np.uint8]  # (N, H, W) or (N, H, W, 3)
Labels = NDArray[np.int64]  # (N,)
ArraySplit = tuple[Images, Labels, Images, Labels]  # train images and labels, test images and labels


def shuffled(images: Images, labels: Labels, test: int) -> ArraySplit:
    """All images, shuffled with a fixed seed; the first ``test`` images are the test set."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, held_out = order[test:], order[:test]
    return images[train], labels[train], images[held_out], labels[held_out]
