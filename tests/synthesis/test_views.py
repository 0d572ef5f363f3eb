"""How an image is shown to the teacher, where the answer is known."""

from __future__ import annotations

import torch

from atesc_core.synthesis.views import shifted, zoomed


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shift_is_by_whole_pixels_at_most_an_eighth_of_the_side():
    x = torch.zeros(200, 3, 16, 16)
    x[:, :, 8, 5] = 1.0
    seen = shifted(x, seeded(), flip=False)
    rows, columns = torch.where(seen[:, 0] > 0.999)[1:]
    assert len(rows) == 200
    assert torch.allclose(seen.sum((1, 2, 3)), torch.tensor(3.0), atol=1e-4)
    assert set((rows - 8).tolist()) == set((columns - 5).tolist()) == {-2, -1, 0, 1, 2}


def test_black_comes_in_at_the_edges():
    seen = shifted(torch.ones(100, 3, 16, 16), seeded(), flip=False)
    lit = seen[:, 0].sum((1, 2))
    assert lit.max() <= 256.001
    assert set(lit.round().int().tolist()) <= {a * b for a in (14, 15, 16) for b in (14, 15, 16)}


def test_a_flip_mirrors_left_and_right_of_about_half_the_images():
    x = torch.linspace(0, 1, 16).view(1, 1, 1, 16).expand(200, 3, 16, 16)
    rising = (zoomed(x, seeded(), flip=True).diff(dim=3) >= -1e-6).all((1, 2, 3))
    assert 70 < rising.sum() < 130
    assert (zoomed(x, seeded(), flip=False).diff(dim=3) >= -1e-6).all()


def test_a_zoom_shows_25_to_100_per_cent_of_the_area_and_nothing_outside():
    x = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(300, 3, 64, 64)
    seen = zoomed(x, seeded(), flip=False)
    side = seen[:, 0, 32].amax(1) - seen[:, 0, 32].amin(1)
    assert side.min() >= 0.48
    assert side.max() <= 1
    assert side.min() < 0.55
    assert side.max() > 0.95
    assert torch.allclose(zoomed(torch.ones(300, 3, 64, 64), seeded(), flip=False), torch.ones(()), atol=1e-5)


def test_both_let_the_gradient_through():
    for view in (shifted, zoomed):
        x = torch.rand(4, 3, 16, 16, generator=seeded()).requires_grad_()
        view(x, seeded(), flip=True).sum().backward()
        assert x.grad.isfinite().all()
        assert x.grad.sum() > 0
