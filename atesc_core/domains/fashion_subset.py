"""Makes assets/fashion_mnist_6k.npz: the first 600 test images of each Fashion-MNIST class.

    python -m atesc_core.domains.fashion_subset [FOLDER]

FOLDER holds the official ``t10k-*-ubyte.gz`` files; by default where Debian's package
``dataset-fashion-mnist`` puts them. Fashion-MNIST is MIT-licensed (Zalando SE, 2017).
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from atesc_core.paths import ASSETS

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
PER_CLASS = 600


def read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes (LeCun's format) as an array."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def main(folder: Path) -> None:
    """Write the first PER_CLASS test images of each class in ``folder`` to ASSETS as one npz file."""
    images, labels = read_idx(folder / "t10k-images-idx3-ubyte.gz"), read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:PER_CLASS] for c in range(10)]))
    out = ASSETS / "fashion_mnist_6k.npz"
    np.savez_compressed(out, images=images[chosen], labels=labels[chosen].astype(np.int64))
    print(f"{out}: {len(chosen)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEBIAN_FOLDER)
