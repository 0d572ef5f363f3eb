"""Accuracies of a classifier whose answers are known."""

import torch

from atesc_core.training.evaluation import share


def test_a_share_is_a_plain_number():
    """49 of 200 was 24.500000476837158 in the result of a run and in the CSV of its figure: a mean of 32-bit floats."""
    hits = torch.arange(200) < 49
    assert share(hits) == 24.5
