"""Small archives in the publishers' formats, on a local server, and torchvision set to download from it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import pickle
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from torchvision import datasets

from atesc_core.domains import downloads

TRAIN, TEST = 30, 20  # number of images in the official training and test sets
Part = tuple[np.ndarray, np.ndarray]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def images(count: int, *shape: int, seed: int) -> Part:
    """Random images, with labels 0 to 9 in turn."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8), np.arange(count) % 10


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


class Published:
    """Puts archives on the local server, and sets torchvision's addresses and checksums to them."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch):
        self.folder, self.url, self.patch = folder, url, monkeypatch

    def put(self, name: str, data: bytes) -> tuple[str, str]:
        (self.folder / name).write_bytes(data)
        return f"{self.url}/{name}", md5(data)

    def mnist(self, train: Part, test: Part, kind=datasets.MNIST) -> None:
        files = dict(zip(downloads.IDX, (train[0], train[1], test[0], test[1]), strict=True))
        resources = [
            (f"{name}.gz", self.put(f"{name}.gz", gzip.compress(idx(array)))[1]) for name, array in files.items()
        ]
        self.patch.setattr(kind, "resources", resources)
        self.patch.setattr(kind, "mirrors", ["http://127.0.0.1:1/", f"{self.url}/"])  # the first is down

    def usps(self, train: Part, test: Part) -> None:
        def text(part: Part) -> bytes:
            return "".join(
                f"{label + 1} "
                + " ".join(f"{i}:{value / 127.5 - 1:.6f}" for i, value in enumerate(image.ravel(), 1))
                + " \n"
                for image, label in zip(*part, strict=True)
            ).encode()

        self.patch.setattr(
            datasets.USPS,
            "split_list",
            {
                part: [url, name, checksum]
                for part, name, rows in (("train", "usps.bz2", train), ("test", "usps.t.bz2", test))
                for url, checksum in [self.put(name, bz2.compress(text(rows)))]
            },
        )

    def svhn(self, train: Part, test: Part) -> None:
        def mat(part: Part) -> bytes:
            file = io.BytesIO()
            labels = np.where(part[1] == 0, 10, part[1]).astype(np.uint8)[:, None]
            scipy.io.savemat(file, {"X": part[0].transpose(1, 2, 3, 0), "y": labels}, do_compression=True)
            return file.getvalue()

        self.patch.setattr(
            datasets.SVHN,
            "split_list",
            {
                part: [url, name, checksum]
                for part, name, rows in (("train", "train_32x32.mat", train), ("test", "test_32x32.mat", test))
                for url, checksum in [self.put(name, mat(rows))]
            },
        )

    def cifar10(self, train: Part, test: Part) -> None:
        def batch(part: Part) -> bytes:
            rows = part[0].transpose(0, 3, 1, 2).reshape(len(part[0]), -1)
            return pickle.dumps({"batch_label": "b", "labels": part[1].tolist(), "data": rows}, protocol=2)

        files = {f"data_batch_{i + 1}": batch((train[0][i::5], train[1][i::5])) for i in range(5)}
        files |= {"test_batch": batch(test), "batches.meta": pickle.dumps({"label_names": list("abcdefghij")})}
        self.tar(datasets.CIFAR10, "cifar-10-python.tar.gz", "cifar-10-batches-py", files)
        checked = [[name, md5(data)] for name, data in files.items()]
        self.patch.setattr(datasets.CIFAR10, "train_list", checked[:5])
        self.patch.setattr(datasets.CIFAR10, "test_list", checked[5:6])
        self.patch.setattr(
            datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": checked[6][1]}
        )

    def stl10(self, train: Part, test: Part) -> None:
        def parts(name: str, part: Part) -> dict[str, bytes]:
            return {
                f"{name}_X.bin": part[0].transpose(0, 3, 2, 1).tobytes(),  # column by column
                f"{name}_y.bin": (part[1] + 1).astype(np.uint8).tobytes(),
            }

        files = parts("train", train) | {"unlabeled_X.bin": bytes(27648)} | parts("test", test)
        self.tar(datasets.STL10, "stl10_binary.tar.gz", "stl10_binary", files)
        checked = {name: [name, md5(data)] for name, data in files.items()}
        self.patch.setattr(
            datasets.STL10, "train_list", [checked[name] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")]
        )
        self.patch.setattr(datasets.STL10, "test_list", [checked[name] for name in ("test_X.bin", "test_y.bin")])

    def tar(self, kind: type, name: str, folder: str, files: dict[str, bytes]) -> None:
        url, checksum = self.put(
            name,
            tar_gz(
                {f"{folder}/{file}": data for file, data in files.items()}
                | {"../outside": b"", f"{folder}/readme.html": b""}
            ),
        )
        self.patch.setattr(kind, "url", url)
        self.patch.setattr(kind, "tgz_md5", checksum)


@pytest.fixture
def published(tmp_path, data_folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "published"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Published(folder, f"http://127.0.0.1:{server.server_port}", monkeypatch)
    server.shutdown()
    thread.join()
    server.server_close()


SHAPES = {
    "mnist_full": (28, 28),
    "fashion_full": (28, 28),
    "usps": (16, 16),
    "svhn": (32, 32, 3),
    "cifar10": (32, 32, 3),
    "stl10": (96, 96, 3),
}


def publish(published: Published, name: str) -> tuple[Part, Part]:
    train, test = images(TRAIN, *SHAPES[name], seed=1), images(TEST, *SHAPES[name], seed=2)
    if name == "fashion_full":
        published.mnist(train, test, datasets.FashionMNIST)
    else:
        getattr(published, name.removesuffix("_full"))(train, test)
    return train, test


@pytest.fixture
def data_folder(tmp_path, monkeypatch) -> Path:
    """A new empty data folder for the test."""
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
