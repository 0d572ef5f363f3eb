"""What is kept of the images: bounded, newest first to stay, drawn by seed, scored once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atesc_core.synthesis.pool import BestBatch, ImagePool, Ring

CPU = torch.device("cpu")


def numbered(first: int, count: int) -> torch.Tensor:
    """``count`` images of one pixel, whose level of red, of 255, is their number."""
    return (torch.arange(first, first + count) / 255).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)


def numbers(pool: ImagePool, places: torch.Tensor) -> list[int]:
    return (pool.images(places)[:, 0, 0, 0] * 255).round().int().tolist()


def twin(pool: ImagePool) -> ImagePool:
    other = ImagePool(pool.capacity, CPU)
    other.load_state_dict(pool.state_dict())
    return other


@given(st.integers(1, 12), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_it_holds_the_newest_and_no_more(capacity, batches):
    pool, total = ImagePool(capacity, CPU), 0
    for size in batches:
        pool.add(numbered(total, size))
        total += size
        assert len(pool) == min(total, capacity)
        held = numbers(pool, torch.arange(len(pool)))
        assert sorted(held) == list(range(total - len(pool), total))
        assert numbers(pool, pool.newest(min(size, capacity))) == list(range(total - min(size, capacity), total))


@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 99))
def test_a_draw_takes_every_image_before_any_twice_and_is_the_seeds(held, count, seed):
    pool = ImagePool(16, CPU)
    pool.add(numbered(0, held))
    places = pool.draw(count, torch.Generator().manual_seed(seed))
    assert torch.equal(places, pool.draw(count, torch.Generator().manual_seed(seed)))
    seen = torch.bincount(places, minlength=held)
    assert len(places) == count
    assert len(seen) == held
    assert seen.max() - seen.min() <= 1


def test_nothing_can_be_drawn_of_nothing():
    with pytest.raises(ValueError, match="the ring is empty"):
        ImagePool(4, CPU).draw(1, torch.Generator())


@given(st.integers(1, 9), st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_each_image_is_scored_once_and_the_score_stays_with_it(capacity, batches):
    pool, total, asked = ImagePool(capacity, CPU), 0, []

    def score(images):
        asked.extend((images[:, 0, 0, 0] * 255).round().int().tolist())
        return images[:, 0, 0, 0] * 255 + 1000

    for size in batches:
        pool.add(numbered(total, size))
        total += size
        pool = twin(pool)
        pool.score(score)
        pool.score(score)
        places = torch.arange(len(pool))
        assert (pool.scores[places].round().int() - 1000).tolist() == numbers(pool, places)
    assert len(asked) == len(set(asked))
    assert asked[-1] == total - 1


def test_a_long_wait_is_scored_in_batches():
    pool, sizes = ImagePool(600, CPU), []
    pool.add(torch.zeros(600, 3, 1, 1))
    pool.score(lambda images: sizes.append(len(images)) or torch.zeros(len(images)))
    assert sizes == [256, 256, 88]


def test_its_state_goes_on_bit_by_bit_and_is_as_large_as_what_is_held():
    pool = ImagePool(1000, CPU)
    pool.add(torch.rand(7, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    pool.score(lambda images: images.mean((1, 2, 3)))
    state = pool.state_dict()
    assert state["rows"].untyped_storage().nbytes() == 7 * 3 * 4 * 4
    other = twin(pool)
    for each in (pool, other):
        each.add(torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(1)))
    assert other.state_dict().keys() == pool.state_dict().keys()
    assert torch.equal(other.rows[:12], pool.rows[:12])
    assert torch.equal(other.scores[:7], pool.scores[:7])
    assert (other.added, other.scored) == (12, 7)


def test_an_empty_ring_has_a_state_too():
    other = Ring(4, CPU)
    other.load_state_dict(Ring(4, CPU).state_dict())
    assert len(other) == 0


def test_the_best_batch_is_that_of_the_lowest_loss():
    best = BestBatch()
    for loss, value in ((3.0, 1.0), (1.0, 2.0), (float("nan"), 3.0), (2.0, 4.0)):
        best.compare(torch.tensor(loss), torch.full((2, 3), value), torch.full((5,), value))
    assert best.loss.item() == 1.0
    assert [part.unique().tolist() for part in best.batch] == [[2.0], [2.0]]
