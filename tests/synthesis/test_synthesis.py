from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from atesc_core.models import ARCHITECTURES, Classifier, Generator, build
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis import SYNTHESIZERS, Synthesizer, batchnorm_notice
from atesc_core.synthesis.base import agreed_kl
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.synthesis.cmi import LayerMeans, contrast, restart
from atesc_core.synthesis.nayer import LabelGenerator
from atesc_core.training.divergence import kl_divergence

SETTINGS = {
    "dfq": {"steps": 3, "latent": 32, "width": 16},
    "cmi": {"bank": 64, "negatives": 8, "head": 8, "latent": 16, "width": 8},
    "nayer": {"loops": 1, "warmup_loops": 2, "warmup_epochs": 1, "noise": 8, "width": 8},
}
POOLED = {"steps": 4, "batch_size": 16, "pool": 40}


def made(kind: str, teacher: Classifier, seed: int = 0, **changes) -> Synthesizer:
    own = SETTINGS[kind] | ({} if kind == "dfq" else POOLED)
    settings = {f"synthesis.{name}": value for name, value in own.items()}
    spec = from_preset("full", "t", **({"synthesis.kind": kind, "batch_size": 16} | settings | changes))
    return SYNTHESIZERS[kind](spec, teacher, 16, torch.Generator().manual_seed(seed))


def frozen(model: Classifier) -> Classifier:
    return model.eval().requires_grad_(False)


def without_batchnorm() -> Classifier:
    """A small teacher with convolutions and no BatchNorm, as VGG-13 without it."""
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten()
    )
    return frozen(Classifier(backbone, 8 * 4 * 4, 4, stages=()))


def test_r_bn_by_hand():
    """One layer, one channel, inputs 0, 0, 2, 2: mean 1, biased variance 1; running mean 3, variance 5: 4 + 2."""
    layer = nn.BatchNorm2d(1).eval()
    layer.running_mean.fill_(3.0)
    layer.running_var.fill_(5.0)
    with BatchNormMatch(nn.Sequential(layer)) as match:
        layer(torch.tensor([0.0, 0.0, 2.0, 2.0]).view(4, 1, 1, 1))
    assert match.loss().item() == pytest.approx(6.0)


def test_r_bn_is_zero_where_the_statistics_match_and_without_batchnorm():
    layer = nn.BatchNorm2d(1).eval()
    layer.running_mean.fill_(1.0)
    layer.running_var.fill_(1.0)
    with BatchNormMatch(nn.Sequential(layer)) as match:
        layer(torch.tensor([0.0, 0.0, 2.0, 2.0]).view(4, 1, 1, 1))
    assert match.loss().item() == pytest.approx(0.0, abs=1e-6)
    assert BatchNormMatch(nn.Linear(2, 2)).loss().item() == 0.0


@pytest.mark.parametrize("kind", SYNTHESIZERS)
def test_a_synthesizer_makes_images_leaves_the_student_and_its_state_gives_the_same_ones(kind):
    teacher, student = frozen(build("small", 4, 0)), build("small", 4, 1)
    first, second = made(kind, teacher), made(kind, teacher, seed=1)
    before = [p.clone() for p in student.parameters()]
    for _ in range(3):
        terms = first.train_round(student)
    assert all(value.isfinite() and not value.requires_grad for value in terms.values())
    assert all(torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))
    assert all(p.grad is None for p in [*student.parameters(), *teacher.parameters()])
    x = first.sample(8)
    assert x.shape == (8, 3, 16, 16)
    assert not x.requires_grad
    assert x.min() >= 0
    assert x.max() <= 1
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # it is live
    first.random.manual_seed(7)
    second.random.manual_seed(7)
    assert torch.equal(first.sample(8), second.sample(8))
    first.train_round(student)
    second.train_round(student)
    assert torch.equal(first.sample(8), second.sample(8))


@pytest.mark.parametrize("kind", SYNTHESIZERS)
def test_a_synthesizer_comes_closer_to_the_teachers_statistics(kind):
    teacher, student = frozen(build("small", 4, 0)), build("small", 4, 1)
    few = made(kind, teacher, **{"synthesis.steps": 1}).train_round(student)
    many = made(kind, teacher, **{"synthesis.steps": 40}).train_round(student)
    assert many["bn"] < few["bn"]


@pytest.mark.parametrize("kind", SYNTHESIZERS)
def test_a_teacher_without_batchnorm_is_taught_from(kind):
    teacher = without_batchnorm()
    synthesizer = made(kind, teacher)
    terms = [synthesizer.train_round(build("small", 4, 1)) for _ in range(2)][-1]
    assert terms["bn"] == 0
    assert all(value.isfinite() for value in terms.values())
    assert synthesizer.sample(4).isfinite().all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_user_is_told_where_r_bn_has_nothing_to_match(arch):
    matches = bool(BatchNormMatch(build(arch, 4)).measured)
    for kind in SYNTHESIZERS:
        notice = batchnorm_notice(arch, kind)
        assert (notice is None) == matches
        assert notice is None or f"{kind.upper()}'s R_BN term has nothing to match" in notice


@pytest.mark.parametrize("kind", ["cmi", "nayer"])
def test_pooled_images_are_scored_once_and_only_when_asked(kind):
    synthesizer, asked = made(kind, frozen(build("small", 4, 0))), []

    def score(x: Tensor) -> Tensor:
        asked.append(len(x))
        return x.mean((1, 2, 3))

    assert not synthesizer.has_images
    synthesizer.train_round(build("small", 4, 1))
    assert synthesizer.has_images
    assert synthesizer.draw(8)[1] is None
    held = len(synthesizer.pool)
    for _ in range(3):
        x, scores = synthesizer.draw(8, score)
        assert torch.equal(scores, x.mean((1, 2, 3)))
    assert sum(asked) == held


def test_dfq_keeps_nothing():
    synthesizer = made("dfq", frozen(build("small", 4, 0)))
    assert synthesizer.has_images
    assert synthesizer.draw(8, lambda x: x.mean((1, 2, 3)))[1] is None


@pytest.mark.parametrize(
    ("kind", "z", "channels"),
    [("dfq", 256, [256, 128, 64]), ("cmi", 256, [128, 128, 64]), ("nayer", 1000, [128, 128, 64])],
)
def test_the_full_presets_generator_is_the_published_one(kind, z, channels):
    spec = from_preset("full", "t", **{"synthesis.kind": kind})
    generator = SYNTHESIZERS[kind](spec, frozen(build("small", 10, 0)), 32, torch.Generator()).generator
    body = generator if isinstance(generator, Generator) else generator.body
    assert body.dense.in_features == z
    assert [layer.num_features for layer in body.body if isinstance(layer, nn.BatchNorm2d)] == channels


def test_dfq_samples_in_evaluation_mode_and_trains_in_training_mode():
    synthesizer = made("dfq", frozen(build("small", 4, 0)))
    synthesizer.train_round(build("small", 4, 1))
    before = copy.deepcopy(synthesizer.generator.state_dict())
    state = synthesizer.random.get_state()
    many = synthesizer.sample(8)
    synthesizer.random.set_state(state)
    z = synthesizer._noise(8)
    one = synthesizer.generator(z[:1]).detach()
    assert torch.allclose(many[:1], one, atol=1e-5), "an image does not depend on those beside it"
    after = synthesizer.generator.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before), "statistics stay as they were trained"
    synthesizer.train_round(build("small", 4, 1))
    assert synthesizer.generator.training


@pytest.mark.parametrize("kind", ["cmi", "nayer"])
def test_a_call_makes_another_number_of_images_than_a_step_takes(kind):
    synthesizer = made(kind, frozen(build("small", 4, 0)), **{"batch_size": 6, "synthesis.batch_size": 10})
    synthesizer.train_round(build("small", 4, 1))
    assert len(synthesizer.pool) == 10 * (1 if kind == "cmi" else 2)
    assert synthesizer.sample(6).shape == (6, 3, 16, 16)


def test_l_adv_by_hand():
    """Two classes. They agree on the first image, T (3/4, 1/4), S even-handed but for the tie-break towards class 0;
    they disagree on the second, which does not count: −½ · KL."""
    teacher = torch.tensor([[3.0, 1.0], [1.0, 9.0]]).log()
    student = torch.tensor([[1.0, 1.0], [9.0, 1.0]]).log()
    expected = -0.5 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert agreed_kl(teacher, student).item() == pytest.approx(expected, rel=1e-6)


def test_l_cr_by_hand():
    """Two orthogonal images, each like its own other view: −log(e^{1/τ} / (e^{1/τ} + 1)) each."""
    views = torch.eye(2)
    alike = math.log(1 + math.exp(-1 / 0.5))
    assert contrast(views, views, 2, 0.5).item() == pytest.approx(alike, rel=1e-6)
    swapped = math.log(1 + math.exp(1 / 0.5))
    assert contrast(views, views.flip(0), 2, 0.5).item() == pytest.approx(swapped, rel=1e-6)


def test_l_cr_averages_batch_and_bank_apart_and_asks_the_local_side_only():
    """One image in the batch, two in the bank, all alike: log 3 for the batch and log 3 for the bank."""
    local = torch.tensor([[1.0, 0.0]] * 3, requires_grad=True)
    whole = torch.tensor([[1.0, 0.0]] * 3, requires_grad=True)
    loss = contrast(local, whole, 1, 0.1)
    assert loss.item() == pytest.approx(2 * math.log(3), rel=1e-6)
    loss.backward()
    assert whole.grad is None
    assert local.grad is not None


def test_layer_means_by_hand():
    """Of BatchNorm's inputs where there are any, else of the convolutions'."""
    x = torch.arange(8.0).view(1, 2, 2, 2)
    for layer in (nn.BatchNorm2d(2).eval(), nn.Conv2d(2, 1, 1)):
        with LayerMeans(nn.Sequential(layer)) as means:
            layer(x)
            assert means.take(1).tolist() == [[1.5, 5.5]]
            layer(x + 1)
            assert means.take(1).tolist() == [[2.5, 6.5]]
    both = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    with LayerMeans(both) as means:
        both(x)
        assert means.take(1).shape == (1, 3)


def test_cmi_starts_anew_at_each_call_and_its_bank_grows():
    synthesizer = made("cmi", frozen(build("small", 4, 0)), **{"synthesis.batch_size": 24})
    for held in (24, 40, 40):  # of a pool of 40
        synthesizer.train_round(build("small", 4, 1))
        assert len(synthesizer.pool) == held
    assert len(synthesizer.bank) == 64
    one, other = (made("cmi", frozen(build("small", 4, 0)), seed=seed).generator for seed in (0, 1))
    nn.init.ones_(other.dense.weight)
    restart(one, torch.Generator().manual_seed(3))
    restart(other, torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert one.dense.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_nayers_embedding_is_orthogonal_frozen_and_the_same_for_every_seed():
    one, other = (LabelGenerator(10, 32, 8, 16, 8, seed) for seed in (0, 1))
    assert torch.allclose(one.embedding @ one.embedding.T, torch.eye(10), atol=1e-5)
    assert torch.equal(one.embedding, other.embedding)
    assert "embedding" not in dict(one.named_parameters())


@pytest.mark.parametrize(("classes", "batch"), [(10, 32), (10, 30), (4, 3), (40, 16)])
def test_nayer_gives_each_noisy_layer_every_class_once(classes, batch):
    generator = LabelGenerator(classes, batch, 8, 16, 8, 0)
    random = torch.Generator().manual_seed(0)
    y = generator.labels(batch, random)
    assert y.shape == (batch,)
    assert torch.bincount(y, minlength=classes).diff().abs().max() <= 1
    assert all(len(set(part.tolist())) == len(part) for part in y.split(classes))
    generator.redraw(random)
    assert generator.weight.shape[0] == math.ceil(batch / classes)
    assert generator(y).shape == (batch, 3, 16, 16)


def test_nayers_noisy_layers_make_the_images_of_a_label_differ():
    generator = LabelGenerator(4, 8, 8, 16, 8, 0)
    y = torch.arange(4).repeat(2)
    same = generator(y)  # not drawn yet: all layers are zero
    assert torch.allclose(same[:4], same[4:])
    generator.redraw(torch.Generator().manual_seed(0))
    drawn = generator(y)
    assert (drawn[:4] - drawn[4:]).abs().amax((1, 2, 3)).min() > 1e-3
    generator.redraw(torch.Generator().manual_seed(1))
    assert not torch.allclose(generator(y), drawn)


def test_nayer_warms_up_without_the_adversarial_term_then_begins_anew_once_in_its_life():
    teacher, student = frozen(build("small", 4, 0)), build("small", 4, 1)
    synthesizer = made("nayer", teacher, **{"rounds": 2, "synthesis.generator_life": 2})
    generators, adversarial, added = [], [], []
    for _ in range(8):  # four epochs of two rounds, one of them warm-up
        adversarial.append(synthesizer.train_round(student)["adversarial"].item())
        generators.append(id(synthesizer.generator))
        added.append(synthesizer.pool.added)
    assert adversarial[:2] == [0, 0]
    assert added == [32, 64, 80, 96, 112, 128, 144, 160]  # two loops a round while it warms up
    changed = [epoch for epoch in range(1, 4) if generators[2 * epoch] != generators[2 * epoch - 1]]
    assert changed == [1, 3]


def test_the_adversarial_term_is_what_the_student_does_not_know():
    teacher, student = build("small", 4, 0).eval().requires_grad_(False), build("small", 4, 1)
    student.head.weight.data.zero_()
    student.head.bias.data = torch.tensor([0.0, 0.0, 0.0, 9.0])
    spec = RunSpec(teacher="t", batch_size=16)
    synthesizer, twin = (SYNTHESIZERS["dfq"](spec, teacher, 16, torch.Generator().manual_seed(0)) for _ in range(2))
    with torch.no_grad():
        images = twin.generator(twin._noise(16))
        expected = -kl_divergence(teacher(images), student.head.bias.expand(16, 4)).mean().item()
    assert synthesizer.train_round(student)["adversarial"].item() == pytest.approx(expected, rel=1e-4)
