"""ABD's shuffling vaccine."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from atesc_core.domains.loading import load_pair
from atesc_core.models import build
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.vaccine import COPIES, Vaccine, shuffled
from atesc_core.teachers.zoo import load_teacher


def convolutions(model: nn.Module) -> list[torch.Tensor]:
    return [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(("arch", "changed"), [("small", 2), ("wrn_16_2", 5)])
def test_the_last_convolutions_are_shuffled_and_the_teacher_is_not(arch, changed):
    teacher = build(arch, 10, 0).eval()
    before = [weight.clone() for weight in convolutions(teacher)]
    twin = shuffled(teacher, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(before, convolutions(teacher), strict=True))
    same = [torch.equal(a, b) for a, b in zip(before, convolutions(twin), strict=True)]
    assert same == [True] * (len(same) - changed) + [False] * changed
    for a, b in zip(before, convolutions(twin), strict=True):
        assert torch.allclose(a.sum(1), b.sum(1), atol=1e-5)  # the same channels, in another order


def test_the_term_by_hand():
    spec = RunSpec(teacher="t").replaced({"escape.kind": "abd", "escape.vaccine": 0.3})
    vaccine = Vaccine(spec, build("small", 4, 0))
    assert len(vaccine.copies) == COPIES
    logits = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]])
    vaccine.copies = [lambda x: logits, lambda x: logits]
    t = torch.tensor([[1.0, 0.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]])  # they agree on the first image only
    expected = F.kl_div(logits[0].log_softmax(0), t[0].softmax(0), reduction="none").mean()
    assert torch.allclose(vaccine.terms(torch.zeros(2, 3, 1, 1), t)["vaccine"], -0.3 * expected)
    assert vaccine.terms(torch.zeros(2, 3, 1, 1), t.flip(1))["vaccine"] == 0  # none agrees


@pytest.mark.parametrize("kind", ["none", "ckd", "atesc", "tadfkd"])
def test_another_escape_has_no_vaccine(kind):
    vaccine = Vaccine(RunSpec(teacher="t").replaced({"escape.kind": kind}), build("small", 4, 0))
    assert vaccine.terms(torch.zeros(2, 3, 16, 16), torch.zeros(2, 4)) == {}


def test_neither_the_classes_nor_the_shipped_backdoor_survive_the_shuffle():
    """ABD counts on a backdoor that does: of a small net trained on the published scale it does not."""
    teacher, data = load_teacher("mnistm-badnet_sq-ntl"), load_pair("mnistm-badnet_sq", 16)
    vaccine = Vaccine(RunSpec(teacher="t").replaced({"escape.kind": "abd"}), teacher.model)
    share = {}
    for name, images in (("id", data.id.test.images[:200]), ("ood", data.ood.test.images[:200])):
        with torch.no_grad():
            mean = torch.stack([twin(images) for twin in vaccine.copies]).mean(0)
            share[name] = (mean.argmax(1) == teacher.model(images).argmax(1)).float().mean()
    assert share["id"] < 0.3
    assert share["ood"] < 0.3
