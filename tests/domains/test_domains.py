from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch

from atesc_core.domains import DOMAINS, PAIRS, load_domain, load_pair
from atesc_core.domains.fashion_subset import read_idx
from atesc_core.domains.triggers import badnet_sq


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("side", [16, 32])
def test_every_domain_gives_what_it_promises(name, side):
    domain = load_domain(name, side)
    for part in (domain.train, domain.test):
        assert part.images.shape == (len(part), 3, side, side)
        assert part.images.dtype == torch.float32
        assert part.images.min() >= 0
        assert part.images.max() <= 1
        assert set(part.labels.tolist()) == set(range(len(domain.classes)))


def test_splits_are_fixed_and_do_not_overlap():
    first, again = load_domain("mnist", 16), DOMAINS["mnist"](16)
    assert torch.equal(first.test.images, again.test.images)
    train = {image.numpy().tobytes() for image in load_domain("mnist", 28).train.images}
    assert not any(image.numpy().tobytes() in train for image in load_domain("mnist", 28).test.images)


def test_mnistm_is_the_absolute_difference_of_digit_and_photograph():
    """Where the digit is black, the photograph is seen as it is; MNIST-M has colour, MNIST has none."""
    mnist, mnistm = load_domain("mnist", 28), load_domain("mnistm", 28)
    assert torch.equal(mnist.test.labels, mnistm.test.labels)
    ink = mnist.test.images[:, 0]
    inverted = mnistm.test.images[(ink == 1).unsqueeze(1).expand(-1, 3, -1, -1)]
    plain = mnistm.test.images[(ink == 0).unsqueeze(1).expand(-1, 3, -1, -1)]
    assert abs((1 - inverted).mean() - plain.mean()) < 0.05


def test_badnet_sq_at_the_published_place_and_scaled():
    stamped = badnet_sq(torch.zeros(1, 3, 32, 32))
    assert stamped[0, :, 27:31, 27:31].eq(1).all()
    assert stamped.sum() == 3 * 16
    small = badnet_sq(torch.zeros(1, 3, 16, 16))
    assert small[0, :, 14:16, 14:16].eq(1).all()
    assert small.sum() == 3 * 4


def test_backdoor_tests_leave_out_the_target_class_and_keep_true_labels():
    data = load_pair("mnistm-badnet_sq", 16)
    assert 0 not in data.ood.test.labels
    assert len(data.ood.test) == int((data.id.test.labels != 0).sum())


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_name_their_metric(name):
    pair = load_pair(name, 16).pair
    assert pair.metric == {"close": "oacc", "open": "olacc", "backdoor": "asr"}[pair.setting]
    assert (pair.target is None) == (pair.setting == "close")


@pytest.mark.parametrize("call", [lambda: load_domain("imagenet", 16), lambda: load_domain("mnist", 4),
                                  lambda: load_pair("a-b", 16)])
def test_unknown_names_and_sides_are_clear_errors(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_idx_reader_on_the_official_format(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "x-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes() + images.tobytes()))
    assert np.array_equal(read_idx(path), images)
    path.write_bytes(gzip.compress(b"PK\x03\x04"))
    with pytest.raises(ValueError, match="IDX"):
        read_idx(path)
