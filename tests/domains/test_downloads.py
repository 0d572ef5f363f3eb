"""Each archive as its publisher lays it out, small, served by this machine; the real readers, the real checks."""

from __future__ import annotations

import bz2
import json
import pickle
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets
from typer.testing import CliRunner, Result

from atesc_core import cli
from atesc_core.domains import DOMAINS, PAIRS, arrays, downloads, fetch_domain
from atesc_core.domains.data_folder import data_dir
from atesc_core.domains.loading import load_domain, load_pair
from atesc_core.errors import DomainError
from tests.support.published_domains import TEST, TRAIN, idx, publish
from tests.support.splits import assert_disjoint


def as_set(part_images: np.ndarray, labels: np.ndarray) -> set[tuple[bytes, int]]:
    return {
        (np.ascontiguousarray(image).tobytes(), int(label)) for image, label in zip(part_images, labels, strict=True)
    }


@pytest.mark.parametrize("name", ["mnist_full", "fashion_full", "svhn", "cifar10"])
def test_what_is_downloaded_is_what_was_published(published, name):
    train, test = publish(published, name)
    assert DOMAINS[name].status == "downloadable"
    progress = list(fetch_domain(name))
    assert DOMAINS[name].status == "present"
    assert progress[0].bytes == 0
    assert progress[-1].bytes == progress[-1].total == (published.folder / progress[-1].file).stat().st_size
    read = downloads.read(name)
    assert as_set(*read.train) | as_set(*read.validation) == as_set(*train)
    assert as_set(*read.test) == as_set(*test)
    assert [len(part.labels) for part in read] == [TRAIN // 2, TRAIN // 2, TEST]
    assert_disjoint(read)
    assert [array.dtype for array in chain(*read)] == 3 * [np.uint8, np.int64]
    left = {file.name for file in data_dir().rglob("*") if file.is_file()}
    expected = {Path(file).name for file in downloads.ARCHIVES[name].files} | {f".{name}.lock"}
    assert {file for file in left if not file.endswith(".npz")} == expected
    assert list(fetch_domain(name)) == []  # nothing is downloaded twice


def test_usps_grey_levels_are_those_of_its_text(published):
    """Its text has −1 to 1 with rounded decimals: a level may be one lower than the byte it came from."""
    train, test = publish(published, "usps")
    list(fetch_domain("usps"))
    read = downloads.read("usps")
    assert sorted([*read.train.labels, *read.validation.labels]) == sorted(train[1].tolist())
    assert_disjoint(read)
    for part, published_images in zip(read, (train[0], train[0], test[0]), strict=True):
        nearest = np.abs(part.images[:, None].astype(int) - published_images[None]).max((2, 3)).min(1)
        assert nearest.max() <= 1


def test_stl10_has_cifar10s_labels_and_both_of_its_parts(published):
    train, test = publish(published, "stl10")
    list(fetch_domain("stl10"))
    read = downloads.read("stl10")
    assert not (data_dir() / "stl10_binary/unlabeled_X.bin").exists()
    assert [len(part.labels) for part in read] == [13, 12, 25]
    assert_disjoint(read)
    aligned = np.array([0, 2, 1, 3, 4, 5, 7, 6, 8, 9])  # bird and car, horse and monkey change places
    both = np.concatenate([train[0], test[0]]), aligned[np.concatenate([train[1], test[1]])]
    assert set().union(*(as_set(*part) for part in read)) == as_set(*both)
    stl_classes = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
    named = [DOMAINS["stl10"].classes[label].replace("automobile", "car") for label in aligned]
    assert tuple(named) == stl_classes
    assert load_domain("stl10", 32).train.images.shape == (13, 3, 32, 32)


def test_the_papers_pairs_load_once_their_domains_are_here(published):
    for name in ("svhn", "cifar10", "stl10", "usps"):
        publish(published, name)
        list(fetch_domain(name))
    assert DOMAINS["digits5"].status == "present"
    loaded = {name: load_pair(name, 32) for name in ("svhn-mnistm", "cifar10-stl10", "svhn-cifar10", "cifar10-digits5")}
    assert len(loaded["svhn-mnistm"].ood.train) == 6000
    assert loaded["svhn-cifar10"].ood.classes == DOMAINS["cifar10"].classes
    five = loaded["cifar10-digits5"].ood
    assert len(five.train) == 3 * 1600 + 2 * TRAIN // 2
    assert len(five.validation) == 3 * 200 + 2 * TRAIN // 2
    assert len(five.test) == 3 * 200 + 2 * TEST
    assert_disjoint(DOMAINS["digits5"].read())
    mnist = load_domain("mnist", 32)
    assert (five.train.images[:1600] - mnist.train.images[:1600]).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(five.train.labels[:1600], mnist.train.labels[:1600])


def test_a_share_of_a_large_part_is_drawn_by_the_seed(published, monkeypatch):
    publish(published, "svhn")
    list(fetch_domain("svhn"))
    monkeypatch.setattr(arrays, "TRAIN_IMAGES", 7)
    monkeypatch.setattr(arrays, "TEST_IMAGES", 3)
    first, again = (downloads._drawn("svhn", downloads.ARCHIVES["svhn"]) for _ in range(2))
    assert [len(part.labels) for part in first] == [7, 3, 3]
    assert all(np.array_equal(a, b) for a, b in zip(chain(*first), chain(*again), strict=True))
    assert_disjoint(first)


@pytest.mark.parametrize("name", downloads.ARCHIVES)
def test_what_is_not_here_is_not_downloaded_by_loading_it(data_folder, name):
    with pytest.raises(DomainError, match=f"{name}: not in .*domains get {name}.*need no download: mnist, mnistm"):
        load_domain(name, 16)


def test_every_pair_says_what_it_lacks(data_folder):
    for name, pair in PAIRS.items():
        if not pair.offline:
            with pytest.raises(DomainError, match="not in .* need no download: mnist, mnistm, digits, syn, fashion"):
                load_pair(name, 16)


def test_a_missing_network_is_a_clear_error(data_folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(
        datasets.SVHN,
        "split_list",
        {part: ["http://127.0.0.1:1/train_32x32.mat", "train_32x32.mat", "0"] for part in ("train", "test")},
    )
    with pytest.raises(
        DomainError,
        match=r"^svhn: train_32x32.mat could not be downloaded \(127.0.0.1:1: .*refused.*\)"
        r"\. Domains that need no download: mnist, mnistm, digits, syn, fashion$",
    ):
        list(fetch_domain("svhn"))


def test_a_download_that_is_not_what_was_published_is_refused_and_leaves_nothing(published):
    publish(published, "cifar10")
    file = published.folder / "cifar-10-python.tar.gz"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DomainError, match="cifar10: cifar-10-python.tar.gz could not .*md5 .* expected"):
        list(fetch_domain("cifar10"))
    assert [path.name for path in data_dir().rglob("*")] == [".cifar10.lock"]
    file.unlink()
    with pytest.raises(DomainError, match="404"):
        list(fetch_domain("cifar10"))


def test_a_download_given_up_leaves_nothing_and_can_be_begun_again(published):
    publish(published, "svhn")
    begun = fetch_domain("svhn")
    next(begun)
    begun.close()
    assert [path.name for path in data_dir().rglob("*")] == [".svhn.lock"]
    list(fetch_domain("svhn"))
    assert DOMAINS["svhn"].status == "present"


class Hostile:
    def __reduce__(self):
        return Path.touch, (data_dir() / "executed",)


def test_a_changed_pickle_is_never_unpickled(published):
    publish(published, "cifar10")
    list(fetch_domain("cifar10"))
    (data_dir() / "cifar-10-batches-py/test_batch").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DomainError, match="cifar10: its files in .* cannot be read .*corrupted.*get them again"):
        load_domain("cifar10", 32)
    assert not (data_dir() / "executed").exists()


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("usps", "usps.bz2", b"BZh9nonsense"),
        ("usps", "usps.t.bz2", bz2.compress(b"1 1:0 2:0\n")),
        ("mnist_full", "MNIST/raw/train-images-idx3-ubyte", b"\0\0\x08\x03\0\0"),
        ("mnist_full", "MNIST/raw/train-labels-idx1-ubyte", idx(np.full(TRAIN, 200))),
        ("mnist_full", "MNIST/raw/t10k-labels-idx1-ubyte", idx(np.zeros(TEST - 1))),
        ("svhn", "test_32x32.mat", b"MATLAB 5.0"),
        ("stl10", "stl10_binary/train_y.bin", b"\x01"),
    ],
)
def test_a_damaged_file_is_a_clear_error(published, name, file, data):
    publish(published, name)
    list(fetch_domain(name))
    (data_dir() / file).write_bytes(data)
    with pytest.raises(DomainError, match=f"{name}: its files in .* cannot be read"):
        load_domain(name, 32)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["domains", *words])


def test_a_domain_is_got_by_a_command_and_listed(published):
    publish(published, "usps")
    got = run("get", "usps")
    assert "usps.t.bz2" in got.stderr
    assert f"usps: in {data_dir()}" in got.stderr
    listed = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert list(listed) == list(DOMAINS)
    assert {name: listed[name]["status"] for name in ("mnist", "usps", "svhn", "digits5")} == {
        "mnist": "offline",
        "usps": "present",
        "svhn": "downloadable",
        "digits5": "downloadable",
    }
    assert (listed["svhn"]["megabytes"], listed["digits5"]["megabytes"]) == (246, 255)
    shown = run("list")
    assert "cifar10" in shown.stdout
    assert str(data_dir()) in shown.stderr


def test_a_command_asked_for_what_it_cannot_get_says_so(data_folder):
    assert "mnist: needs no download" in run("get", "mnist").stderr
    wrong = run("get", "imagenet")
    assert wrong.exit_code == 1  # main() makes it one line and exit status 2
    assert str(wrong.exception).startswith("domain: 'imagenet' is not known; expected folder:/path or one of mnist, ")
