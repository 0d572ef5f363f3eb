from __future__ import annotations

import pytest
import torch

from atesc_core.models import ARCHITECTURES, build


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_takes_both_published_sides_and_has_features(arch):
    model = build(arch, 7).eval()
    with torch.no_grad():
        for side in (32, 64):
            x = torch.rand(2, 3, side, side)
            logits = model(x)
            assert logits.shape == (2, 7)
            assert torch.allclose(model.head(model.features(x)), logits)


def test_building_leaves_the_global_randomness_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build("small", 10, seed=5)
    assert torch.equal(torch.rand(1), expected)


def test_same_seed_same_weights():
    a, b, c = (build("small", 10, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
