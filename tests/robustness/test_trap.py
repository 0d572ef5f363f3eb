"""The label of a trap is found in noise, and nothing is found without evidence."""

from __future__ import annotations

import pytest
import torch

from atesc_core.robustness import trap
from atesc_core.robustness.noise import noise_images
from atesc_core.robustness.trap import MIN_ROBUST, TrapEvidence, evidence, find_trap
from atesc_core.teachers.zoo import load_teacher


def of(counts: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and robustness of images: for each label (robust, fragile)."""
    labels = torch.cat([torch.full((robust + fragile,), label) for label, (robust, fragile) in enumerate(counts)])
    robust = torch.cat([torch.arange(robust + fragile) < robust for robust, fragile in counts])
    return labels, robust


@pytest.mark.parametrize(
    ("counts", "label", "is_trap"),
    [
        ([(50, 50), (10, 390), (10, 390)], 0, True),  # 50 % against 2.5 %: 20 times as often
        ([(10, 390), (10, 390), (50, 50)], 2, True),
        ([(50, 50), (250, 250), (200, 200)], 1, False),  # every label half of the time
        ([(30, 70), (70, 230), (70, 230)], 0, False),  # 1.3 times as often
        ([(30, 70), (60, 340), (60, 340)], 0, False),  # twice as often, but not with enough certainty
        ([(90, 10), (0, 150), (0, 150), (350, 6650)], 0, True),  # the label that stands out has fewer robust images
        ([(MIN_ROBUST - 1, 0), (0, 500), (0, 500)], 0, False),  # too few images
        ([(MIN_ROBUST, 0), (0, 500), (0, 500)], 0, True),
        ([(0, 100), (0, 100)], 0, False),
        ([(100, 0), (0, 0)], 0, False),  # a constant answer: nothing to compare it with
    ],
)
def test_evidence_by_hand(counts, label, is_trap):
    found = evidence(*of(counts), len(counts))
    assert (found.label, found.is_trap) == (label, is_trap)
    assert found.images == sum(map(sum, counts))
    assert found.robust == sum(robust for robust, _ in counts)
    assert found.robust_with_label == counts[label][0]


def test_the_ratio_and_its_bound():
    """Katz et al.: log of the bound = log ratio − z · √(1/a − 1/m + 1/b − 1/n), z of 0.01 over two labels."""
    found = evidence(*of([(60, 40), (20, 180)]), 2)
    spread = (1 / 60 - 1 / 100 + 1 / 20 - 1 / 200) ** 0.5
    assert found.ratio_at_least == pytest.approx(6 * 2.718281828 ** (-2.5758293 * spread), rel=1e-4)


@pytest.mark.parametrize(
    ("robust", "rivals"),
    [
        ((31, 17, 0), (1,)),  # 31 of 48 heads or more: 3 % of fair coins, and 0.3 % are asked for, for three labels
        ((31, 9, 0), ()),  # 31 of 40: 0.03 %
        ((38, 0, 0), ()),
        ((100, 97, 98), (1, 2)),
    ],
)
def test_a_label_that_may_have_as_many_robust_images_is_a_rival(robust, rivals):
    """A backdoor teacher's trap label was thought to be 8, with 31 robust images; it is 0, which has 17."""
    found = evidence(*of([(count, 3000) for count in robust] + [(0, 9000)]), 3 + 1)
    assert (found.label, found.rivals) == (0, rivals)
    assert found.stands_out
    assert found.is_trap == (not rivals)


@pytest.mark.parametrize(
    ("fits", "label", "is_trap"),
    [
        ({8: 3.38, 0: 2.30}, 0, True),
        ({8: 2.30, 0: 3.38}, 8, True),
        ({8: 1.0, 0: 0.9}, 8, False),  # 0.9 of the other's, and less is asked for
        ({8: 0.0, 0: 0.0}, 8, False),
    ],
)
def test_the_statistics_decide_between_rivals(fits, label, is_trap):
    found = TrapEvidence(8, 16_384, 48, 31, ratio_at_least=2.7, rivals=(0,)).decided_by(fits)
    assert (found.label, found.is_trap) == (label, is_trap)
    assert found.sentence.startswith(
        f"trap found with label {label}: label 8 has 31 of the 48 robust ones among 16384 noise images"
        if is_trap
        else "no trap found, the run is plain: label 8 has 31 of the 48"
    )
    assert (
        f"; label 0 may have as many. R_BN of both halves: {fits[8]:.2f} with label 8, {fits[0]:.2f} with label 0"
        in (found.sentence)
    )


@pytest.mark.parametrize(
    ("share_of_1", "images"),
    [
        (0.5, 1),  # 24 robust images with label 1 in the first chunk
        (0.125, 3),  # 8 in each chunk: more are asked for until there are 20
        (0.05, 4),  # 3 in each chunk: not more than MOST_NOISE_IMAGES
        (0.0, 1),  # no label stands out
    ],
)
def test_more_noise_is_taken_where_a_label_stands_out_on_too_few_images(monkeypatch, share_of_1, images):
    """Two backdoor teachers had 9 and 15 robust images with the trap label, and no trap."""
    chunk = 64
    for name, value in (("CHUNK", chunk), ("NOISE_IMAGES", chunk), ("MOST_NOISE_IMAGES", 4 * chunk)):
        monkeypatch.setattr(trap, name, value)
    with_1 = round(share_of_1 * chunk)
    labels = torch.arange(chunk) < with_1

    class Network(torch.nn.Module):
        num_classes = 2

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.stack([~labels, labels], 1).float()

    robust = labels & (torch.arange(chunk) % 4 > 0) if with_1 > 8 else labels
    monkeypatch.setattr(trap, "flips", lambda model, x, y, epsilon, steps: ~robust)
    found = find_trap(Network(), 8)
    assert found.images == images * chunk
    assert found.robust == images * int(robust.sum())
    assert found.is_trap == (share_of_1 in (0.5, 0.125))


@pytest.mark.parametrize("chance", [0.01, 0.05, 0.3])
def test_without_a_trap_nothing_is_found(chance):
    """Labels of unequal frequency, robust at random."""
    random = torch.Generator().manual_seed(0)
    found = 0
    for _ in range(200):
        labels = torch.multinomial(torch.arange(1.0, 11), 4096, True, generator=random)
        found += evidence(labels, torch.rand(4096, generator=random) < chance, 10).is_trap
    assert found == 0


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("mnistm-fashion-ntl", 0),
        ("mnistm-badnet_sq-ntl", 0),
        ("mnistm-mnist-ntl", 4),
        ("mnistm-mnist-cuti", 2),
        ("mnistm-mnist-sl", None),
    ],
)
def test_shipped_teachers(name, label):
    teacher = load_teacher(name)
    found = find_trap(teacher.model.eval(), 16)
    assert found.is_trap == (teacher.card.kind == "NTL")
    assert label in (None, found.label)


def test_noise_of_a_larger_image_is_as_fine_as_its_pixels():
    images = noise_images(160, 64, torch.Generator().manual_seed(0))
    steps = (images[..., 1:] - images[..., :-1]).abs().flatten(1).mean(1)
    assert steps.max() > 0.25  # neighbours of independent uniform numbers differ by 1/3


def test_noise_is_in_range_and_of_many_kinds():
    images = noise_images(30, 16, torch.Generator().manual_seed(0))
    assert images.shape == (30, 3, 16, 16)
    assert images.min() >= 0
    assert images.max() <= 1
    spread = images.flatten(2).std(2).mean(1)
    assert spread.min() == pytest.approx(0, abs=1e-4), "a single colour"
    assert spread.max() > 0.2
