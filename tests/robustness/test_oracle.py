from __future__ import annotations

import numpy as np

from atesc_core.robustness.oracle import Oracle


def test_it_finds_the_feature_that_tells_the_domains_apart():
    random = np.random.default_rng(0)
    id_features, ood_features = (random.normal(0, 1, (200, 5)).astype(np.float32) for _ in range(2))
    ood_features[:, 2] += 8
    oracle = Oracle.fit(id_features[:100], ood_features[:100])
    assert np.abs(oracle.weight).argmax() == 2
    assert (oracle(id_features[100:]) < 0).mean() > 0.99
    assert (oracle(ood_features[100:]) > 0).mean() > 0.99


def test_a_feature_that_never_changes_and_unequal_sides_are_no_trouble():
    random = np.random.default_rng(0)
    few, many = (np.stack([at + random.normal(0, 1, n), np.full(n, 3.0)], 1) for at, n in ((0, 10), (9, 200)))
    oracle = Oracle.fit(few, many)
    assert (oracle(few) < 0).all()
    assert (oracle(many) > 0).all()
