from __future__ import annotations

import gzip
import subprocess
import sys
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from atesc_core.domains import DOMAINS, OFFLINE, loading
from atesc_core.domains.arrays import ArraySplit, Labelled, shuffled
from atesc_core.domains.data_folder import cached_arrays
from atesc_core.domains.domain import image_set
from atesc_core.domains.drawn import draw
from atesc_core.domains.fashion_subset import read_idx
from atesc_core.domains.loading import load_domain
from atesc_core.domains.offline import mnist, package_folder
from atesc_core.errors import DomainError
from tests.support.splits import assert_disjoint

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("side", [16, 32])
def test_every_domain_gives_what_it_promises(name, side):
    domain = load_domain(name, side)
    for part in (domain.train, domain.validation, domain.test):
        assert part.images.shape == (len(part), 3, side, side)
        assert part.images.dtype == torch.float32
        assert part.images.min() >= 0
        assert part.images.max() <= 1
        assert set(part.labels.tolist()) == set(range(len(domain.classes)))
    assert domain.classes == DOMAINS[name].classes


def test_offline_and_downloaded_domains_are_told_apart(data_folder):
    assert OFFLINE == ("mnist", "mnistm", "digits", "syn", "fashion")
    assert {source.status for name, source in DOMAINS.items() if name not in OFFLINE} == {"downloadable"}


# number of train, validation and test images, and a hash of the test images, on which all results are reported
SIZES = {
    "mnist": (3000, 1000, 1000, "6f468e3bf6864b60"),
    "mnistm": (6000, 1000, 1000, "cecdc94a345ff3eb"),
    "digits": (997, 400, 400, "e40028f663755f27"),
    "syn": (8000, 1000, 1000, "d61010878622af09"),
    "fashion": (4000, 1000, 1000, "9afbe5d31776f3f9"),
}


@pytest.mark.parametrize("name", OFFLINE)
def test_the_three_parts_are_fixed_and_disjoint(name):
    mnist.cache_clear()
    split, again = DOMAINS[name].read(), DOMAINS[name].read()
    assert_disjoint(split, distinct=name != "digits")
    *sizes, test_images = SIZES[name]
    assert [len(part.labels) for part in split] == sizes
    assert all(np.array_equal(a, b) for a, b in zip(chain(*split), chain(*again), strict=True))
    assert sha256(split.test.images.tobytes() + split.test.labels.tobytes()).hexdigest()[:16] == test_images


def test_no_digit_of_mnistm_is_in_two_parts():
    """The copies of one digit differ in their background, so that disjoint images alone would not show it."""
    for part, digits in zip(DOMAINS["mnistm"].read(), mnist(), strict=True):
        assert np.array_equal(part.labels, np.resize(digits.labels, len(part.labels)))
        black = np.resize(digits.images, part.images.shape[:3]) == 0
        white = np.resize(digits.images, part.images.shape[:3]) == 255
        photograph = part.images.mean(3)
        assert abs(255 - photograph[white].mean() - photograph[black].mean()) < 15


@pytest.mark.parametrize(("count", "sizes"), [(100, (60, 20, 20)), (50, (15, 15, 20)), (21, (1, 0, 20))])
def test_a_validation_set_takes_half_of_the_other_images_at_most(count, sizes):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1)
    split = shuffled(images, np.arange(count), test=20)
    assert tuple(len(part.labels) for part in split) == sizes
    assert sorted(np.concatenate([part.labels for part in split])) == list(range(count))


def test_mnistm_is_the_absolute_difference_of_digit_and_photograph():
    """Where the digit is black, the photograph is seen as it is; MNIST-M has colour, MNIST has none."""
    digits, mnistm = load_domain("mnist", 28), load_domain("mnistm", 28)
    assert torch.equal(digits.test.labels, mnistm.test.labels)
    ink = digits.test.images[:, 0]
    inverted = mnistm.test.images[(ink == 1).unsqueeze(1).expand(-1, 3, -1, -1)]
    plain = mnistm.test.images[(ink == 0).unsqueeze(1).expand(-1, 3, -1, -1)]
    assert abs((1 - inverted).mean() - plain.mean()) < 0.05


def test_syn_digits_are_drawn_by_their_seed_alone():
    fonts = [package_folder("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"]
    images, labels = draw(fonts, 40, seed=1)
    again, other = draw(fonts, 40, seed=1), draw(fonts, 40, seed=2)
    assert np.array_equal(images, again[0])
    assert np.array_equal(labels, again[1])
    assert not np.array_equal(images, other[0])
    assert np.bincount(labels).tolist() == [4] * 10
    assert images.shape == (40, 32, 32, 3)
    brightness = images @ np.array([0.299, 0.587, 0.114])
    assert (brightness.max((1, 2)) - brightness.min((1, 2)) > 60).all()  # a digit can be seen in each


def test_images_are_resized_alike_however_many_there_are():
    images = np.random.default_rng(0).integers(0, 256, (1203, 9, 9, 3), np.uint8)
    together = image_set(images, np.zeros(1203), 16).images
    assert torch.equal(together[1100:1103], image_set(images[1100:1103], np.zeros(3), 16).images)


@pytest.mark.parametrize(("name", "side"), [("imagenet", 16), ("mnist", 4), ("mnist", 512)])
def test_unknown_names_and_sides_are_clear_errors(name, side):
    with pytest.raises(DomainError, match="expected"):
        load_domain(name, side)


def test_what_is_kept_is_made_again_only_when_its_key_changes_or_its_file_is_damaged(data_folder):
    made = []

    def make():
        made.append(1)
        part = Labelled(np.zeros((3, 2, 2), np.uint8), np.arange(3))
        return ArraySplit(part, part, Labelled(np.ones((1, 2, 2), np.uint8), np.array([len(made)])))

    def made_as(key):
        return cached_arrays("x", key, make).test.labels.item()

    assert [made_as("a"), made_as("a")] == [1, 1]
    assert made_as("b") == 2
    [file] = (data_folder / "made").iterdir()  # the older one is gone
    file.write_bytes(file.read_bytes()[:200])
    assert [made_as("b"), made_as("b")] == [3, 3]


def test_an_unwritable_data_folder_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "file"))
    split = ArraySplit(*[Labelled(np.zeros((1, 2, 2), np.uint8), np.zeros(1, np.int64))] * 3)
    assert cached_arrays("x", "a", lambda: split) is split


def test_the_app_starts_without_the_heavy_readers():
    code = (
        "import sys; from atesc_core.domains.loading import load_pair; load_pair('mnistm-mnist', 16)\n"
        "sys.exit(str([m for m in ('torchvision', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_idx_reader_on_the_official_format(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "x-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes() + images.tobytes()))
    assert np.array_equal(read_idx(path), images)
    path.write_bytes(gzip.compress(b"PK\x03\x04"))
    with pytest.raises(ValueError, match="IDX"):
        read_idx(path)


def test_the_domains_that_are_kept_are_bounded_in_bytes():
    """Each image side that was asked for stayed in memory: gigabytes, of a form that was only looked at."""
    for side in (64, 96, 112, 128):
        load_domain("mnist", side)
    kept = loading._domain.cache
    assert kept.maxsize == loading.MAX_CACHED_BYTES == 1024**3
    assert kept.currsize == sum(domain.max_bytes for domain in kept.values()) <= kept.maxsize
    assert load_domain("mnist", 128) is load_domain("mnist", 128)
    assert load_domain("mnist", 256) is not load_domain("mnist", 256)  # larger than the bound by itself
    assert loading._triggered.cache.maxsize == loading.MAX_CACHED_BYTES


@pytest.mark.parametrize(("side", "kept"), [(64, True), (256, False)])
def test_the_images_of_a_large_folder_are_not_kept_beside_its_parts(monkeypatch, side, kept):
    """Of the domain read last all images were kept, however large: 2 GB of a folder at 256 pixels."""
    parts = [
        Labelled(np.broadcast_to(np.uint8(0), (count, side, side, 3)), np.zeros(count, np.int64))
        for count in (8000, 1000, 1000)
    ]
    monkeypatch.setattr(loading, "read_arrays", lambda name, image_side: ArraySplit(*parts))
    loading._arrays.cache.clear()
    assert loading._arrays("a large one", side, "").train is parts[0]
    assert bool(loading._arrays.cache) is kept
    assert loading._arrays.cache.currsize <= loading._arrays.cache.maxsize == loading.MAX_ARRAY_BYTES
    loading._arrays.cache.clear()
