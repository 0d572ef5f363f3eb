"""A traced turn holds the very tensors of the step, and tracing leaves the run as it is."""

from __future__ import annotations

import copy
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from atesc_core.distillation.loop import Controls, distill, round_events
from atesc_core.distillation.losses import FORGETTING, ckd
from atesc_core.distillation.state import Distillation
from atesc_core.distillation.turns import agreement, mean_confidence, next_turn, probabilities
from atesc_core.specs.run import EscapeKind
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.training.divergence import kl_divergence, masked_mean
from atesc_core.training.events import CheckpointReady, RoundDone
from tests.support.short_runs import short_run

TRACE = Controls(trace=True)


def same(a, b) -> bool:
    """Of two states: tensors, and dicts, lists and plain values of them."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) or bool(torch.isnan(a).any() and torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.usefixtures("a_trap_with_label_0")
@pytest.mark.parametrize(
    ("kind", "escape"), [("dfq", "atesc"), ("cmi", "twin"), ("nayer", "atesc"), ("dfq", "abd"), ("dfq", "twin")]
)
def test_a_traced_run_is_the_same_to_the_last_bit(teacher, kind, escape):
    spec = short_run(epochs=2, snapshot_images=8, **{"synthesis.kind": kind, "escape.kind": escape})
    unseen, watched, now_and_then = [], [], []
    for states, controls in ((unseen, Controls()), (watched, TRACE), (now_and_then, Controls())):
        for number, event in enumerate(distill(spec, teacher, controls=controls)):
            if isinstance(event, CheckpointReady):
                states.append(copy.deepcopy(event.state))
            if states is now_and_then:
                controls.trace = number % 3 == 0
    assert len(unseen) == 2
    assert same(unseen, watched)
    assert same(unseen, now_and_then)
    assert not same(unseen, unseen[::-1])


@pytest.mark.usefixtures("a_trap_with_label_0")
@pytest.mark.parametrize(
    ("kind", "changes", "of", "escape"),
    [
        *(("dfq", {"synthesis.steps": 3}, 3, escape) for escape in get_args(EscapeKind)),
        ("cmi", {}, 1, "atesc"),
        ("nayer", {"synthesis.warmup_loops": 2}, 2, "ckd"),
    ],
    ids=str,
)
def test_turns_come_in_order_and_their_means_are_the_rounds(teacher, kind, changes, of, escape):
    spec = short_run(
        epochs=2, rounds=1, **{"synthesis.kind": kind, "escape.kind": escape, "escape.warmup_epochs": 0}, **changes
    )
    events = [
        e for e in distill(spec, teacher, controls=TRACE, until=1) if hasattr(e, "who") or isinstance(e, RoundDone)
    ]
    *turns, done = events
    assert [(turn.who, turn.number, turn.turn_count) for turn in turns] == [
        *(("generator", number, of) for number in range(1, of + 1)),
        ("student", 1, 2),
        ("student", 2, 2),
    ]
    assert [next_turn(turn) for turn in (None, *turns[:-1])] == [turn.who for turn in turns]
    assert next_turn(turns[-1]) == "generator"
    made, students = turns[of - 1], turns[of:]
    steps = 1 if kind == "dfq" else spec.synthesis.steps
    for name, values in made.losses.items():
        assert values.shape == (steps,)
        assert values[-1] == pytest.approx(done.losses[name], rel=1e-6)
    for name in students[0].losses:
        assert np.mean([turn.losses[name] for turn in students]) == pytest.approx(done.losses[name], rel=1e-5)
    splits = spec.escape.splits
    assert (students[0].fragile_mask is not None) == (students[0].threshold is not None) == splits
    assert ("s/robust" in students[0].losses) == (escape in ("atesc", "twin"))
    if splits:
        assert np.mean([turn.fragile_mask.mean() for turn in students]) == pytest.approx(done.fragile_share)
    assert len(students[0].images) == spec.batch_size + (spec.escape.ood_images if escape == "twin" else 0)


def test_the_generators_turn_by_hand(teacher):
    run = Distillation(short_run(**{"synthesis.steps": 2}), teacher)
    generator, student = copy.deepcopy(run.synthesizer.generator), copy.deepcopy(run.student).eval()
    turn = next(round_events(run, 1, 1, TRACE))
    z, settings = torch.from_numpy(turn.noise), run.spec.synthesis
    with BatchNormMatch(run.teacher) as match:
        x = generator(z)
        t, s = run.teacher(x), student(x)
    p = t.softmax(1).mean(0)
    terms = {
        "g/bn": settings.bn * match.loss(),
        "g/onehot": settings.onehot * F.cross_entropy(t, t.argmax(1)),
        "g/adversarial": -settings.adversarial * kl_divergence(t, s).mean(),
        "g/balance": settings.balance * (p * p.log()).sum(),
    }
    assert {name: values.item() for name, values in turn.losses.items()} == pytest.approx(
        {name: value.item() for name, value in terms.items()}, rel=1e-5
    )
    gradient = torch.autograd.grad(sum(terms.values()), list(generator.parameters()))
    assert turn.gradient_norm == pytest.approx(torch.cat([part.flatten() for part in gradient]).norm().item(), rel=1e-4)
    assert turn.weight_count == sum(weight.numel() for weight in generator.parameters())
    np.testing.assert_array_equal(turn.images_before, (x * 255).round().byte().numpy())
    np.testing.assert_allclose(turn.teacher_logits_before, t.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turn.student_logits_before, s.detach().numpy(), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        now = copy.deepcopy(run.synthesizer.generator)(z)
    np.testing.assert_array_equal(turn.images_after, (now * 255).round().byte().numpy())
    np.testing.assert_allclose(turn.teacher_logits_after, run.teacher(now).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert (turn.images_before != turn.images_after).any()


def test_a_calls_images_are_those_that_joined_the_pool(teacher):
    for kind in ("cmi", "nayer"):
        run = Distillation(short_run(**{"synthesis.kind": kind, "synthesis.steps": 4, "synthesis.pool": 1000}), teacher)
        turn = next(round_events(run, 1, 1, TRACE))
        np.testing.assert_array_equal(turn.images_after, run.synthesizer.pool.filled_rows()[:24].numpy())
        assert turn.labels.shape == (24,)
        assert (turn.noise is None) == (kind == "nayer")
        assert (turn.images_before != turn.images_after).any()


@pytest.mark.parametrize("forgetting", FORGETTING)
def test_the_students_turn_by_hand(teacher, forgetting):
    """NAYER's pool keeps images in 256 levels: what the student saw is exactly what is shown."""
    spec = short_run(
        temperature=4.0, **{"synthesis.kind": "nayer", "escape.forgetting": forgetting, "split.threshold": 2.0}
    )
    run = Distillation(spec, teacher)
    events = round_events(run, 2, 1, TRACE)
    while (turn := next(events)).who == "generator":
        student = copy.deepcopy(run.student)
    x, trapped = torch.from_numpy(turn.images).float() / 255, torch.from_numpy(turn.forget_mask)
    with torch.no_grad():
        t = run.teacher(x)
    s = student.train()(x)
    terms = {
        "s/fragile": ckd(t, s, ~trapped, 4.0),
        "s/robust": spec.escape.weight * masked_mean(FORGETTING[forgetting](t, s, spec.escape.clamp), trapped),
    }
    terms["s/total"] = sum(terms.values())
    assert turn.losses == pytest.approx({name: value.item() for name, value in terms.items()}, rel=1e-5)
    gradient = torch.autograd.grad(terms["s/total"], list(student.parameters()))
    assert turn.gradient_norm == pytest.approx(torch.cat([part.flatten() for part in gradient]).norm().item(), rel=1e-4)
    assert turn.learning_rate == spec.lr, "that of the step, not of the next"
    for ours, theirs in ((turn.teacher_logits, t), (turn.student_logits_before, s)):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        after = copy.deepcopy(run.student).train()(x)
    np.testing.assert_allclose(turn.student_logits_after, after.numpy(), rtol=1e-4, atol=1e-5)
    assert turn.losses_after["s/fragile"] == pytest.approx(ckd(t, after, ~trapped, 4.0).item(), rel=1e-5)
    assert next(events).learning_rate < spec.lr


@pytest.mark.parametrize("escape", ["atesc", "twin"])
def test_what_teaches_and_what_is_forgotten_add_up_to_the_losses(teacher, a_trap_with_label_0, escape):
    trap = a_trap_with_label_0 if escape == "twin" else None
    run = Distillation(short_run(batch_size=64, **{"escape.kind": escape}), teacher, trap=trap)
    turns = [e for round_ in (1, 2, 3) for e in round_events(run, 2, round_, TRACE) if not isinstance(e, RoundDone)]
    for turn in (turn for turn in turns if turn.who == "student"):
        teach, forget = torch.from_numpy(turn.teach_mask), torch.from_numpy(turn.forget_mask)
        assert not (teach & forget).any()
        if escape == "atesc":
            assert (teach ^ forget).all()
            assert torch.equal(teach, torch.from_numpy(turn.fragile_mask))
        else:
            assert teach.tolist() == [True] * 64 + [False] * run.spec.escape.ood_images
        t, s = torch.from_numpy(turn.teacher_logits), torch.from_numpy(turn.student_logits_before)
        assert turn.losses["s/fragile"] == pytest.approx(ckd(t, s, teach).item(), rel=1e-5)
        forgotten = masked_mean(FORGETTING[run.spec.escape.form_of_forgetting](t, s, 10.0), forget)
        assert turn.losses["s/robust"] == pytest.approx(run.spec.escape.weight * forgotten.item(), rel=1e-5)
    assert turn.forget_mask.any()


def test_what_logits_say():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]], np.float32))
    np.testing.assert_allclose(probabilities(logits), np.exp(logits), rtol=1e-6)
    np.testing.assert_allclose(probabilities(np.array([1000.0, 0.0])), [1, 0])
    assert mean_confidence(logits) == pytest.approx(60)
    assert agreement(logits, logits[:, ::-1]) == 50
