"""Images of a domain as NumPy arrays, divided into train, validation and test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLIT_SEED = 2025
TRAIN_IMAGES, TEST_IMAGES = 8000, 1000  # the largest numbers for a domain (NTLBench); validation: as many as test

Images = NDArray[np.uint8]  # (N, H, W) or (N, H, W, 3)
Labels = NDArray[np.int64]  # (N,)


class Labelled(NamedTuple):
    """Images with their labels."""

    images: Images
    labels: Labels

    def at(self, index: slice | NDArray[np.int64]) -> Labelled:
        """The images and labels at ``index``."""
        return Labelled(self.images[index], self.labels[index])


class ArraySplit(NamedTuple):
    """A domain's images: to train on, to choose settings on (validation), and to report (test). They are disjoint."""

    train: Labelled
    validation: Labelled
    test: Labelled


def shuffled(images: Images, labels: Labels, test: int) -> ArraySplit:
    """All images, shuffled with a fixed seed: the first ``test`` are the test set, as many more the validation set.

    Of fewer than 3 · ``test`` images, half of what is left after the test set is for validation.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    everything = Labelled(images, labels)
    validation, train = _held_out(order[test:], test)
    return ArraySplit(everything.at(train), everything.at(validation), everything.at(order[:test]))


def official(train: Labelled, test: Labelled) -> ArraySplit:
    """Up to TRAIN_IMAGES, TEST_IMAGES and TEST_IMAGES images, drawn from two official parts with a fixed seed.

    Test images come from the official test part; validation images, as many, from the official training part, of
    which they take half at most.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    order, test_order = rng.permutation(len(train.labels)), rng.permutation(len(test.labels))[:TEST_IMAGES]
    validation, training = _held_out(order, len(test_order))
    return ArraySplit(train.at(training[:TRAIN_IMAGES]), train.at(validation), test.at(test_order))


def _held_out(order: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first ``count`` indices, half of them all at most, and the others."""
    count = min(count, len(order) // 2)
    return order[:count], order[count:]
