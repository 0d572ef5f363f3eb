"""Twin synthesis: its terms by hand, which half a term reaches, and a plain run where there is no trap."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Generator

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from atesc_core.distillation import trap_label
from atesc_core.distillation.events import LabelTried, TrapSought
from atesc_core.distillation.loop import distill
from atesc_core.distillation.losses import negative_learning, student_losses
from atesc_core.distillation.state import Distillation
from atesc_core.distillation.trap_label import seek_trap
from atesc_core.domains.loading import load_pair
from atesc_core.models import build
from atesc_core.models.batchnorm import BatchNormInputs
from atesc_core.robustness.trap import CHUNK, TrapEvidence
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.synthesis.twin import HalvesMatch, noise_directions, quarters_mixed
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.events import CheckpointReady
from tests.support.short_runs import short_run

CPU = torch.device("cpu")
TRAP = TrapEvidence(0, 16_384, 100, 90, ratio_at_least=5.0)
NO_TRAP = TrapEvidence(2, 16_384, 13, 7, ratio_at_least=0.7)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("mnistm-badnet_sq-ntl")


@pytest.fixture
def found(monkeypatch):
    """`found(evidence)`: what noise says from now on; its directions come from few noise images."""
    monkeypatch.setattr("atesc_core.robustness.trap.NOISE_IMAGES", 2 * CHUNK)
    return lambda evidence: monkeypatch.setattr("atesc_core.distillation.trap_label.find_trap", lambda *_: evidence)


def ended(search: Generator[LabelTried, None, TrapEvidence]) -> tuple[list[LabelTried], TrapEvidence]:
    """What a search has yielded, and its result."""
    events = []
    while True:
        try:
            events.append(next(search))
        except StopIteration as end:
            return events, end.value


def iter_returning(value: TrapEvidence) -> Generator[LabelTried, None, TrapEvidence]:
    """A search that knows its result."""
    yield from ()
    return value


def same_student(events, other_events) -> bool:
    """Whether the last students of two runs are the same to the last bit."""
    one, other = (
        [event.state["student"] for event in run if isinstance(event, CheckpointReady)][-1]
        for run in (events, other_events)
    )
    return all(torch.equal(one[name], other[name]) for name in one)


def begun(spec: RunSpec, teacher) -> Distillation:
    return Distillation(spec, teacher, trap=ended(seek_trap(spec, teacher))[1])


def twin(teacher, **changes) -> Distillation:
    return begun(short_run(**{"escape.kind": "twin"} | changes), teacher)


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
        mixed_id, mixed_ood = (teacher.model(quarters_mixed(each)) for each in (images[y != label], ood))
    torch.testing.assert_close(logits, t[:12])
    assert terms["bn"].item() == pytest.approx(3 * match.loss().item(), rel=1e-5)
    own, of_mixtures = (F.cross_entropy(each, torch.full((12,), label)).item() for each in (t[12:], mixed_ood))
    assert terms["trap"].item() == pytest.approx(0.5 * own, rel=1e-5)
    assert 4 <= len(mixed_id) < 12
    not_the_label = -torch.log1p(-mixed_id.softmax(1)[:, label]).mean().item()
    assert terms["mixing"].item() == pytest.approx(2 * (of_mixtures + not_the_label), rel=1e-3)


def test_the_halves_are_turned_as_noise_is(teacher):
    images = load_pair("mnistm-badnet_sq", 16).id.validation.images
    with HalvesMatch(teacher.model) as match:
        teacher.model(torch.cat([images[:20], images[20:40]]))
    with BatchNormInputs(teacher.model) as first:
        teacher.model(images[:20])
    with BatchNormInputs(teacher.model) as second:
        teacher.model(images[20:40])
    differences = (second.statistics()[0] - first.statistics()[0]).split(first.channels)
    for difference, expected in zip(match.differences, differences, strict=True):
        torch.testing.assert_close(difference, expected, rtol=1e-3, atol=1e-5)
    layers = len(differences)
    assert match.turned_from(differences).item() == pytest.approx(0, abs=1e-4)
    assert match.turned_from([-5 * each for each in differences]).item() == pytest.approx(2 * layers, rel=1e-4)
    assert match.turned_from([torch.zeros_like(each) for each in differences]).item() == pytest.approx(layers)


@pytest.mark.parametrize("name", ["mnistm-fashion-ntl", "mnistm-badnet_sq-ntl"])
def test_noise_with_the_trap_label_lies_on_the_side_of_ood(name):
    """What orients the halves: in open set and backdoor they came out the wrong way round in the first layers."""
    loaded = load_teacher(name)
    model, data = loaded.model.eval(), load_pair(loaded.card.pair, 16)
    means = []
    for images in (data.id.validation.images, data.ood.validation.images):
        with BatchNormInputs(model) as inputs:
            model(images)
        means.append(inputs.statistics()[0])
    differences = (means[1] - means[0]).split(inputs.channels)
    for difference, direction in zip(differences, noise_directions(model, 16, 0, CPU), strict=True):
        assert F.cosine_similarity(difference, direction, dim=0) > 0


def test_a_label_that_no_noise_has_gives_no_direction(teacher, found):
    """A label that is seen in later noise only: an error of sizes."""
    found(TRAP)
    directions = noise_directions(teacher.model, 16, 99, CPU)
    some = noise_directions(teacher.model, 16, 0, CPU)
    assert [each.shape for each in directions] == [each.shape for each in some]
    assert not any(each.any() for each in directions)
    assert all(each.any() for each in some)


@pytest.mark.parametrize("kind", ["cmi", "nayer"])
def test_both_halves_are_augmented_alike(teacher, found, monkeypatch, kind):
    """Only the ID half was shifted: black borders alone told the halves apart."""
    found(TRAP)
    calls = []
    monkeypatch.setattr(
        f"atesc_core.synthesis.{kind}.shifted", lambda images, random, flip: calls.append(len(images)) or images
    )
    settings = {"synthesis.kind": kind, "escape.kind": "twin", "synthesis.batch_size": 12, "synthesis.steps": 3}
    run = begun(short_run(**settings), teacher)
    next(run.synthesizer.turns(run.student))
    assert calls == [12] * 6


def test_images_that_all_have_the_trap_label_are_not_mixed(teacher, found):
    found(TRAP)
    half = twin(teacher).synthesizer.ood_half
    alike = torch.rand(1, 3, 16, 16).expand(8, -1, -1, -1)
    half.label = int(teacher.model(alike[:1]).argmax())
    assert half.observe(alike, 1.0)[1]["mixing"].isfinite()


@pytest.mark.parametrize("batch", [2, 3])
@pytest.mark.parametrize("kind", ["dfq", "cmi", "nayer"])
def test_the_smallest_batches(teacher, found, kind, batch):
    """One ID image was a batch of which NAYER's BatchNorm1d has no variance."""
    found(TRAP)
    settings = {"synthesis.kind": kind, "escape.kind": "twin", "batch_size": batch}
    if kind != "dfq":
        settings["synthesis.batch_size"] = batch
    run = begun(short_run(**settings), teacher)
    terms = run.synthesizer.train_round(run.student)
    assert all(value.isfinite() for value in terms.values())


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
    assert reached == {"bn": [True, True], "trap": [False, True], "mixing": [True, True], "orientation": [True, True]}


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


UNSURE = TrapEvidence(0, 16_384, 48, 31, ratio_at_least=2.7, rivals=(1,))


@pytest.mark.parametrize("kind", ["dfq", "cmi", "nayer"])
def test_where_noise_leaves_two_labels_the_statistics_decide(teacher, found, monkeypatch, kind):
    """The label of the noise alone was wrong for a backdoor teacher, and its student worse than a plain one."""
    monkeypatch.setattr(trap_label, "STEPS", 4)
    found(UNSURE)
    spec = short_run(epochs=2, **{"synthesis.kind": kind, "synthesis.bn": 2.0, "escape.kind": "twin"})
    events, trap = ended(seek_trap(spec, teacher))
    assert [(event.label, event.step) for event in events if event.step in (0, 4)] == [(0, 0), (0, 4), (1, 0), (1, 4)]
    assert [label for label, _ in trap.fits] == [0, 1]
    run = Distillation(spec, teacher, trap=dataclasses.replace(UNSURE, rivals=()))
    ends, steps = [], 0
    while steps < 4:
        for update in run.synthesizer.turns(run.student):
            steps += len(update.losses)
            ends.append((steps, float(update.losses[-1]["bn"]) / 2))
        for _ in range(spec.student_steps):
            run.student_step(1)
    assert trap.fits[0][1] == pytest.approx(np.mean([fit for at, fit in ends if at > 0.75 * steps]), rel=1e-5)
    started = list(distill(spec, teacher))
    sought = [event.evidence for event in started if isinstance(event, TrapSought)]
    assert sought == [trap]
    monkeypatch.setattr("atesc_core.distillation.loop.seek_trap", lambda *_: iter_returning(trap))
    assert same_student(started, list(distill(spec, teacher))), "the run begins anew, as if the label had been known"


def test_a_diverged_trial_does_not_win(teacher, found, monkeypatch):
    def fit(spec, teacher, trap):
        yield LabelTried(trap.label, 0)
        return None if trap.label == 0 else 5.0

    monkeypatch.setattr(trap_label, "halves_fit", fit)
    found(UNSURE)
    trap = ended(seek_trap(short_run(**{"escape.kind": "twin"}), teacher))[1]
    assert (trap.label, trap.is_trap) == (1, True)
    assert "R_BN of both halves: not finite with label 0, 5.00 with label 1" in trap.sentence


@pytest.mark.parametrize("without", ["weight", "layers"])
def test_without_statistics_to_match_nothing_is_tried_and_nothing_decides(teacher, found, monkeypatch, without):
    found(UNSURE)
    monkeypatch.setattr(trap_label, "halves_fit", None)
    spec = short_run(**{"escape.kind": "twin"} | ({"synthesis.bn": 0.0} if without == "weight" else {}))
    if without == "layers":
        teacher = dataclasses.replace(teacher, model=build("vgg11", 10))
    events, trap = ended(seek_trap(spec, teacher))
    assert not events
    assert not trap.is_trap
    assert trap.sentence.endswith("label 1 may have as many, and no statistics of BatchNorm layers decide")


def test_the_statistics_put_a_wrong_label_right(found, monkeypatch):
    """Measured, with a close-set teacher whose trap label is 4."""
    monkeypatch.setattr(trap_label, "STEPS", 40)
    found(TrapEvidence(1, 16_384, 48, 31, ratio_at_least=2.7, rivals=(4,)))
    run = twin(load_teacher("mnistm-mnist-ntl"), batch_size=48, **{"synthesis.width": 16})
    assert (run.trap.label, run.trap.is_trap) == (4, True), run.trap.sentence


def test_the_history_says_what_was_decided_and_from_how_many_images():
    assert TRAP.sentence == (
        "trap found: label 0 has 90 of the 100 robust ones among 16384 noise images at ε = 7, a robust share at least "
        "5.0 times that of other labels"
    )
    assert NO_TRAP.sentence == (
        "no trap found, the run is plain: label 2 has 7 of the 13 robust ones among 16384 noise images at ε = 7, a "
        "robust share at least 0.7 times that of other labels; a trap needs 20 images and 1.5 times"
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


def test_the_student_forgets_the_ood_half_whatever_the_form_of_atesc(teacher, found):
    found(TRAP)
    run = twin(teacher, **{"escape.forgetting": "uniform"})
    half = run.synthesizer.ood_half
    half.label = int(teacher.model(half.sample(64)).argmax(1).mode().values)
    batch = run.student_batch(epoch=2)
    assert batch.forget_mask.any()
    logits = run.student(batch.images).detach()
    expected = negative_learning(batch.teacher_logits, logits, 0)[batch.forget_mask].mean()
    terms = student_losses(batch, logits, run.spec)
    assert terms["robust"].item() == pytest.approx(run.spec.escape.weight * expected.item())


def test_a_resumed_run_goes_on_from_the_evidence_that_it_began_with(teacher, found):
    """It was sought again, and a run whose evidence had changed could not be continued."""
    found(TRAP)
    spec = short_run(epochs=2, **{"escape.kind": "twin"})
    first, second = (
        copy.deepcopy(event.state) for event in distill(spec, teacher) if isinstance(event, CheckpointReady)
    )
    found(NO_TRAP)
    events = list(distill(spec, teacher, resume=first))
    assert not any(isinstance(event, TrapSought) for event in events)
    again = next(event.state for event in events if isinstance(event, CheckpointReady))
    for name, value in second["student"].items():
        assert torch.equal(value, again["student"][name]), name
