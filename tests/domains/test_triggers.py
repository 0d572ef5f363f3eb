from __future__ import annotations

import pytest
import torch

from atesc_core.domains import TRIGGER_NAMES
from atesc_core.domains.triggers import TRIGGERS, badnet_grid, badnet_sq, blend, sig, stamp
from atesc_core.errors import DomainError

PATTERN_CORNER = [0.684971, 0.747013, 0.753129]  # red, green, blue
BLACK, WHITE = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)


def test_the_names_that_are_known_without_torch_are_those_of_the_triggers():
    assert tuple(TRIGGERS) == TRIGGER_NAMES


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("side", [8, 16, 32, 48, 64])
def test_a_trigger_stamps_a_copy_that_is_still_an_image(name, side):
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    stamped = stamp(name, x)
    assert torch.equal(x, before)
    assert stamped.shape == x.shape
    assert not torch.equal(stamped, x)
    assert stamped.min() >= 0
    assert stamped.max() <= 1
    assert torch.equal(stamp(name, x[1:]), stamped[1:])  # no image depends on its batch


def test_badnet_sq_at_the_published_place_and_scaled():
    stamped = badnet_sq(BLACK)
    assert stamped[0, :, 27:31, 27:31].eq(1).all()
    assert stamped.sum() == 3 * 16
    small = badnet_sq(torch.zeros(1, 3, 16, 16))
    assert small[0, :, 14:16, 14:16].eq(1).all()
    assert small.sum() == 3 * 4


def test_badnet_grid_at_the_published_place():
    white = {(31, 31), (31, 29), (30, 30), (29, 31)}
    assert {tuple(at) for at in badnet_grid(BLACK)[0, 0].nonzero().tolist()} == white
    black = {(row, column) for row in (29, 30, 31) for column in (29, 30, 31)} - white
    assert {tuple(at) for at in (badnet_grid(WHITE)[0, 2] == 0).nonzero().tolist()} == black


def test_badnet_grid_scales_by_whole_pixels_and_stays_a_grid():
    small = badnet_grid(torch.full((1, 3, 16, 16), 0.5))[0, 1]
    assert small[13:, 13:].tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert small.eq(0.5).sum() == 16 * 16 - 9
    large = badnet_grid(torch.zeros(1, 3, 64, 64))[0, 0]
    assert large[58:60, 62:].eq(1).all()
    assert large.sum() == 4 * 4


def test_blend_is_a_fifth_of_a_fixed_pattern():
    pattern = blend(BLACK)[0] / 0.2
    assert torch.allclose(blend(WHITE)[0], 0.8 + 0.2 * pattern)
    assert pattern[:, 0, 0].tolist() == pytest.approx(PATTERN_CORNER, abs=1e-5)
    assert pattern.mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(blend(torch.zeros(1, 3, 64, 64))[0, :, ::2, 1::2] / 0.2, pattern)
    assert torch.equal(blend(torch.zeros(1, 3, 16, 16))[0] / 0.2, pattern[:, ::2, ::2])


def test_sig_is_a_fifth_of_six_sine_stripes():
    stripes = sig(BLACK)[0] / 0.2
    assert stripes[0, 0, 0].item() == pytest.approx(0.5)
    assert stripes[0, 0, 4].item() == pytest.approx(0.0, abs=1e-6)  # sin(2π · 6 · 4/32) = sin(3π/2)
    assert stripes[0, 0, 12].item() == pytest.approx(1.0)  # sin(9π/2)
    assert torch.equal(stripes, stripes[:1, :1].expand(3, 32, 32))
    assert torch.allclose(sig(WHITE), 0.8 + sig(BLACK))
    half = sig(torch.zeros(1, 3, 16, 16))[0] / 0.2
    assert torch.allclose(half[0, 0], stripes[0, 0, ::2], atol=1e-6)


def test_an_unknown_trigger_is_named():
    with pytest.raises(DomainError, match="'hello_kitty'.*expected one of badnet_sq"):
        stamp("hello_kitty", BLACK)
