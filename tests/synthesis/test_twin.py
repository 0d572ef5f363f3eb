"""Twin synthesis: its terms by hand, which half a term reaches, and a plain run where there is no trap."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from atesc_core.distillation.events import TrapSought
from atesc_core.distillation.loop import distill
from atesc_core.distillation.state import Distillation
from atesc_core.domains.loading import load_pair
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.synthesis.twin import other_label, quarters_mixed
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.events import CheckpointReady
from tests.support.short_runs import short_run

TRAP = TrapEvidence(0, 8192, 100, 90, ratio=9.0, ratio_at_least=5.0)
NO_TRAP = TrapEvidence(2, 8192, 13, 7, ratio=3.8, ratio_at_least=0.7)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("mnistm-badnet_sq-ntl")


@pytest.fixture
def found(monkeypatch):
    """`found(evidence)`: what noise says from now on."""
    return lambda evidence: monkeypatch.setattr("atesc_core.synthesis.base.find_trap", lambda *_: evidence)


def twin(teacher, **changes) -> Distillation:
    return Distillation(short_run(**{"escape.kind": "twin"} | changes), teacher)


def test_a_mixture_has_a_quarter_of_each_of_four_images():
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 4, 6)
    mixed = quarters_mixed(images)
    assert mixed.shape == images.shape
    assert mixed[4, 0, ::2, ::3].tolist() == [[4, 3], [2, 1]]
    assert mixed[0, 0, ::2, ::3].tolist() == [[0, 4], [3, 2]]


def test_a_trigger_in_a_corner_survives_the_mixing():
    images = torch.zeros(6, 3, 8, 8)
    images[:, :, 6:, 6:] = 1
    assert torch.equal(quarters_mixed(images), images)


def test_another_label_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [100.0, 0.0], [0.0, 200.0]])
    assert other_label(logits, 1).tolist() == pytest.approx([-math.log(1 / 4), 0, 200])


def test_the_terms_by_hand(teacher, found):
    images = load_pair("mnistm-badnet_sq", 16).id.validation.images[:12]
    y = teacher.model(images).argmax(1)
    label = int(y[5])
    found(dataclasses.replace(TRAP, label=label))
    half = twin(teacher, **{"escape.trap": 0.5, "escape.mixing": 2.0}).synthesizer.ood_half
    state = half.random.get_state()
    logits, terms = half.observe(images, 3.0)
    half.random.set_state(state)
    with torch.no_grad():
        ood = half.generator(half._noise(12))
        with BatchNormMatch(teacher.model) as match:
            t = teacher.model(torch.cat([images, ood]))
        mixed_id, mixed_ood = (teacher.model(quarters_mixed(each)) for each in (images, ood))
    torch.testing.assert_close(logits, t[:12])
    assert terms["bn"].item() == pytest.approx(3 * match.loss().item(), rel=1e-5)
    both = sum(F.cross_entropy(each, torch.full((12,), label)).item() for each in (t[12:], mixed_ood))
    assert terms["trap"].item() == pytest.approx(0.5 * both, rel=1e-5)
    clean = [i for i in range(12) if all(y[i - shift] != label for shift in range(4))]
    assert 0 < len(clean) < 12
    probability = mixed_id.softmax(1)[clean, label]
    assert terms["mixing"].item() == pytest.approx(-2 * torch.log1p(-probability).mean().item(), rel=1e-3)


def test_each_generator_gets_the_gradient_of_its_own_terms(teacher, found):
    found(TRAP)
    half = twin(teacher).synthesizer.ood_half
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = list(half.generator.parameters())
    terms = half.observe(images, 1.0)[1]
    reached = {
        name: [
            any(each is not None and bool(each.any()) for each in gradients)
            for gradients in (
                torch.autograd.grad(term, [images], retain_graph=True, allow_unused=True),
                torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True),
            )
        ]
        for name, term in terms.items()
    }
    assert reached == {"bn": [True, True], "trap": [False, True], "mixing": [True, False]}


@pytest.mark.parametrize("kind", ["dfq", "cmi", "nayer"])
def test_without_a_trap_a_run_is_the_plain_one_to_the_last_bit(teacher, found, kind):
    found(NO_TRAP)
    students, sought = [], []
    for escape in ("none", "twin"):
        spec = short_run(epochs=2, **{"synthesis.kind": kind, "escape.kind": escape})
        for event in distill(spec, teacher):
            if isinstance(event, CheckpointReady) and event.epoch == 2:
                students.append({name: value.clone() for name, value in event.state["student"].items()})
            sought += [event.evidence] if isinstance(event, TrapSought) else []
    assert sought == [NO_TRAP]
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])


def test_the_history_says_what_was_decided_and_from_how_many_images():
    assert TRAP.sentence == (
        "label 0 is the trap's: 90 of 100 robust ones among 8192 noise images, 9.0 times as often as other labels"
    )
    assert NO_TRAP.sentence == (
        "no trap found: label 2 has 7 of 13 robust ones among 8192 noise images, which is no evidence; the run is plain"
    )


@pytest.mark.parametrize("count", [0, 5])
def test_images_of_the_ood_half_never_teach(teacher, found, count):
    found(TRAP)
    run = twin(teacher, **{"escape.ood_images": count})
    run.synthesizer.train_round(run.student)
    batch = run.student_batch(epoch=2)
    assert batch.teach_mask.tolist() == [True] * 24 + [False] * count
    if count:
        assert not batch.forget_mask[:24].any()
        assert (batch.teacher_logits[24:].argmax(1)[batch.forget_mask[24:]] == 0).all()
    assert len(run.student_batch(epoch=1).images) == 24, "the warm-up forgets nothing"
