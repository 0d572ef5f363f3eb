"""What is measured of a classifier, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from atesc_core.domains import PAIRS
from atesc_core.domains.domain import ImageSet, domain_of
from atesc_core.domains.loading import PairData
from atesc_core.training.evaluation import Evaluator, class_recalls

CPU = torch.device("cpu")


class Reads(nn.Module):
    """Reads its label from the first pixel: 16 pixels of brightness a label."""

    def forward(self, x):
        return nn.functional.one_hot((x[:, 0, 0, 0] * 16).round().long(), 4).float()


def images(given: list[int], true: list[int]) -> ImageSet:
    """Images that `Reads` gives the labels ``given``."""
    pixels = (torch.tensor(given).float() / 16).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    return ImageSet(pixels, torch.tensor(true))


def data(pair: str) -> PairData:
    nothing = images([0], [0])
    test_id, test_ood = images([0, 0, 1, 2, 0], [0, 0, 1, 1, 2]), images([3, 3, 1, 0], [0, 3, 1, 2])
    return PairData(
        PAIRS[pair],
        domain_of("id", tuple("abcd"), nothing, images([1], [0]), test_id),
        domain_of("ood", tuple("abcd"), nothing, images([2], [2]), test_ood),
    )


def test_open_set_the_trap_label_is_the_pairs_target():
    measured = Evaluator(data("mnistm-fashion"), CPU)(Reads())
    assert measured.recalls == (100, 50, 0, None)
    assert measured.trap_label == 0
    assert measured.metrics == {"iacc": 60, "olacc": 25, "worst_recall": 0, "trap_recall": 100}


def test_close_set_the_trap_label_is_the_teachers_most_frequent_on_ood_images():
    class Teacher(nn.Module):
        def forward(self, x):
            return torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(len(x), -1)

    measured = Evaluator(data("mnistm-mnist"), CPU, teacher=Teacher())(Reads())
    assert measured.trap_label == 1
    assert measured.metrics == {"iacc": 60, "oacc": 50, "worst_recall": 0, "trap_recall": 50, "trap_share": 25}


def test_close_set_without_a_teacher_has_no_trap_label():
    measured = Evaluator(data("mnistm-mnist"), CPU)(Reads())
    assert measured.trap_label is None
    assert set(measured.metrics) == {"iacc", "oacc", "worst_recall"}


def test_validation_images_are_others():
    assert Evaluator(data("mnistm-fashion"), CPU, "validation")(Reads()).metrics["iacc"] == 0


def test_recalls_of_many_classes():
    labels = torch.arange(200).repeat(3)
    predicted = torch.where(torch.arange(600) < 400, labels, (labels + 1) % 200)
    assert class_recalls(predicted, labels, 200) == pytest.approx([100 * 2 / 3] * 200)
