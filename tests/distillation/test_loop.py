"""The loop with a real, tiny spec and a shipped teacher."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch

from atesc_core.distillation.events import SnapshotTaken, ThresholdChanged
from atesc_core.distillation.loop import Controls, distill
from atesc_core.distillation.state import Distillation
from atesc_core.domains.loading import load_pair
from atesc_core.robustness.scores import SCORES
from atesc_core.specs.run import ESCAPE_SETTINGS, EscapeKind, EscapeSpec
from atesc_core.synthesis import SYNTHESIZERS
from atesc_core.training.evaluation import Evaluator
from atesc_core.training.events import CheckpointReady, EpochDone, RoundDone
from tests.support.short_runs import short_run


def weights(events) -> dict[str, torch.Tensor]:
    return {
        key: value.clone()
        for key, value in [e for e in events if isinstance(e, CheckpointReady)][-1].state["student"].items()
    }


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("escape", ["none", "ckd", "atesc"])
def test_every_escape_runs_and_says_what_it_did(teacher, escape):
    spec = short_run(**{"escape.kind": escape})
    events = list(distill(spec, teacher, Evaluator(load_pair("mnistm-badnet_sq", 16), torch.device("cpu"))))
    steps = [e for e in events if isinstance(e, RoundDone)]
    assert len(steps) == spec.epochs * spec.rounds
    assert steps[-1].images == spec.epochs * spec.rounds * spec.student_steps * spec.batch_size
    assert all(torch.isfinite(torch.tensor(list(e.losses.values()))).all() for e in steps)
    assert all((e.fragile_share is None) == (escape == "none" or e.epoch == 1) for e in steps)
    assert ("s/robust" in steps[-1].losses) == (escape == "atesc")
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert all(set(e.metrics) == {"iacc", "asr", "worst_recall", "trap_recall"} for e in epochs)
    assert [(len(e.recalls), e.trap_label) for e in epochs] == 3 * [(10, 0)]
    snapshot = [e for e in events if isinstance(e, SnapshotTaken)][-1]
    assert snapshot.images.shape == (16, 3, 16, 16)
    assert snapshot.images.dtype == torch.uint8
    assert torch.equal(snapshot.fragile, snapshot.scores["min_eps"] <= snapshot.threshold)


@pytest.mark.usefixtures("a_trap_with_label_0")
@pytest.mark.parametrize("kind", SYNTHESIZERS)
@pytest.mark.parametrize("escape", get_args(EscapeKind))
def test_every_synthesizer_runs_with_every_escape(teacher, kind, escape):
    spec = short_run(epochs=2, **{"synthesis.kind": kind, "escape.kind": escape})
    events = list(distill(spec, teacher))
    steps = [e for e in events if isinstance(e, RoundDone)]
    assert len(steps) == spec.epochs * spec.rounds
    assert all(torch.isfinite(torch.tensor(list(e.losses.values()))).all() for e in steps)
    assert {"g/bn", "g/onehot", "g/adversarial"} <= steps[-1].losses.keys()
    assert ("g/vaccine" in steps[-1].losses) == (escape == "abd")
    assert (steps[-1].fragile_share is None) == (escape in ("none", "abd", "twin"))
    assert ("g/trap" in steps[-1].losses) == (escape == "twin")


OTHER_ESCAPE_SETTINGS = {
    "weight": 0.7,
    "forgetting": "uniform",
    "clamp": 0.01,
    "warmup_epochs": 0,
    "trap": 5.0,
    "mixing": 5.0,
    "orientation": 5.0,
    "ood_images": 5,
    "vaccine": 5.0,
}


@pytest.mark.usefixtures("a_trap_with_label_0")
@pytest.mark.parametrize("escape", get_args(EscapeKind))
def test_an_escape_uses_the_settings_that_it_is_shown_with_and_no_others(teacher, escape):
    """The form showed the settings of all escapes."""
    cheap = {"split.score": "confidence", "split.threshold": "share", "rounds": 1}
    base = short_run(epochs=2, **{"escape.kind": escape} | cheap)
    assert OTHER_ESCAPE_SETTINGS.keys() == EscapeSpec.model_fields.keys() - {"kind"}

    def after(names) -> dict[str, torch.Tensor]:
        spec = base.replaced({f"escape.{name}": OTHER_ESCAPE_SETTINGS[name] for name in names})
        return weights(distill(spec, teacher))

    plain, used = after(()), ESCAPE_SETTINGS[escape]
    assert same(after(name for name in OTHER_ESCAPE_SETTINGS if name not in used), plain)
    for name in used:
        assert not same(after((name,)), plain), name


@pytest.mark.usefixtures("few_calibration_images")
@pytest.mark.parametrize(
    ("score", "rule"), [*((score, "auto") for score in SCORES), ("min_eps", "mixture"), ("min_eps", "share")]
)
def test_every_score_splits_by_every_rule(teacher, score, rule):
    events = list(distill(short_run(epochs=2, **{"split.score": score, "split.threshold": rule}), teacher))
    (change,) = [e for e in events if isinstance(e, ThresholdChanged)]
    snapshot = [e for e in events if isinstance(e, SnapshotTaken)][-1]
    assert snapshot.threshold == change.threshold
    assert snapshot.scores.keys() == SCORES.keys()
    assert torch.equal(snapshot.fragile, snapshot.scores[score] <= change.threshold)
    assert 0 <= [e for e in events if isinstance(e, RoundDone)][-1].fragile_share <= 1


def test_random_splits_at_the_share_asked_for(teacher):
    share = 0.25  # not 0.5, which would be right with the groups exchanged
    spec = short_run(
        epochs=2,
        rounds=8,
        student_steps=4,
        batch_size=64,
        **{"split.score": "random", "split.threshold": "share", "split.fragile_share": share},
    )
    shares = [e.fragile_share for e in distill(spec, teacher) if isinstance(e, RoundDone) and e.epoch == 2]
    assert sum(shares) / len(shares) == pytest.approx(share, abs=0.07)  # 2048 images, at a quantile of 512


@pytest.mark.parametrize(
    "changes",
    [
        {"split.score": "random"},
        {"split.score": "gmm"},
        {"split.score": "energy"},
        {"escape.kind": "abd"},
        {"escape.kind": "tadfkd"},
        {"escape.kind": "twin"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("a_trap_with_label_0", "few_calibration_images")
@pytest.mark.parametrize("kind", ["dfq", "nayer"])
def test_a_resumed_comparator_is_the_uninterrupted_one(teacher, changes, kind):
    spec, checkpoints = short_run(epochs=2, **{"synthesis.kind": kind, "split.threshold": "auto"}, **changes), []
    for event in distill(spec, teacher):
        if isinstance(event, CheckpointReady):
            checkpoints.append(copy.deepcopy(event.state))
    assert same(weights(distill(spec, teacher, resume=checkpoints[0])), checkpoints[1]["student"])


def test_the_student_never_sees_real_data(teacher):
    evaluate = Evaluator(load_pair("mnistm-badnet_sq", 16), torch.device("cpu"))
    assert same(weights(distill(short_run(), teacher, evaluate)), weights(distill(short_run(), teacher, None)))


def test_same_spec_same_numbers_whatever_the_global_seed(teacher):
    torch.manual_seed(1)
    first = weights(distill(short_run(), teacher))
    torch.manual_seed(2)
    assert same(first, weights(distill(short_run(), teacher)))
    assert not same(first, weights(distill(short_run(seed=1), teacher)))


def test_looking_at_a_run_does_not_change_it(teacher):
    few, many = (weights(distill(short_run(snapshot_images=count), teacher)) for count in (16, 64))
    assert same(few, many)


@pytest.mark.parametrize("kind", SYNTHESIZERS)
@pytest.mark.parametrize("after", [1, 2])
def test_a_resumed_run_is_the_uninterrupted_one(teacher, kind, after):
    spec, checkpoints = short_run(**{"synthesis.kind": kind}), []
    for event in distill(spec, teacher):
        if isinstance(event, CheckpointReady):
            checkpoints.append(copy.deepcopy(event.state))
    resumed = weights(distill(spec, teacher, resume=checkpoints[after - 1]))
    assert same(resumed, checkpoints[2]["student"])


@pytest.mark.parametrize("kind", ["cmi", "nayer"])
def test_a_pooled_image_is_attacked_once_in_its_life_and_any_threshold_splits_it_by_that(teacher, kind, monkeypatch):
    attacked = []
    measure = SCORES["min_eps"]
    monkeypatch.setitem(SCORES, "min_eps", lambda model, x, *rest: attacked.append(len(x)) or measure(model, x, *rest))
    spec = short_run(**{"synthesis.kind": kind, "synthesis.pool": 1000})
    run = Distillation(spec, teacher)
    for round_ in (1, 2):
        run.synthesizer.train_round(run.student)
        for threshold in (0.5, 4.0, 1e9):
            run.threshold = threshold
            run.student_step(epoch=2)
            x, scores = run.synthesizer.draw(24, run.score)
            is_fragile = run.fragile_mask(x, teacher.model(x), scores)
            assert torch.equal(is_fragile, scores <= threshold)
        assert sum(attacked) == run.synthesizer.pool.added, round_


@pytest.mark.usefixtures("few_calibration_images")
@pytest.mark.parametrize("kind", SYNTHESIZERS)
def test_a_threshold_is_found_even_before_the_first_round(teacher, kind):
    spec = short_run(epochs=1, **{"synthesis.kind": kind, "split.threshold": "auto", "escape.warmup_epochs": 0})
    events = list(distill(spec, teacher))
    assert isinstance(events[0], ThresholdChanged)
    assert sum(isinstance(e, RoundDone) for e in events) == spec.rounds


def test_a_threshold_set_by_hand_holds_from_the_next_round(teacher):
    controls = Controls()
    seen = []
    for event in distill(short_run(), teacher, controls=controls):
        seen.append(event)
        if isinstance(event, RoundDone) and (event.epoch, event.round) == (2, 1):
            controls.threshold = 5.0
    changes = [e for e in seen if isinstance(e, ThresholdChanged)]
    assert [(e.epoch, e.round, e.threshold, e.by) for e in changes] == [(2, 2, 5.0, "hand")]
    after = seen[seen.index(changes[0]) + 1]
    assert isinstance(after, RoundDone)
    assert after.threshold == 5.0


@pytest.mark.usefixtures("few_calibration_images")
def test_an_automatic_threshold_is_found_anew_in_each_epoch(teacher):
    """It was found once, and kept while the generator changed."""
    events = list(distill(short_run(epochs=4, **{"split.threshold": "share"}), teacher))
    changes = [e for e in events if isinstance(e, ThresholdChanged)]
    assert [(change.epoch, change.round, change.by) for change in changes] == [(n, 1, "auto") for n in (2, 3, 4)]
    assert len({change.threshold for change in changes}) > 1
    steps = [e for e in events if isinstance(e, RoundDone) and e.epoch > 1]
    assert {(step.epoch, step.threshold) for step in steps} == {(e.epoch, e.threshold) for e in changes}


@pytest.mark.usefixtures("few_calibration_images")
@pytest.mark.parametrize("resumed", [False, True])
def test_a_threshold_set_by_hand_is_not_found_again(teacher, resumed):
    controls, state = Controls(), None
    spec = short_run(epochs=4, **{"split.threshold": "auto"})
    for event in distill(spec, teacher, controls=controls, until=3):
        if isinstance(event, RoundDone) and (event.epoch, event.round) == (2, 1):
            controls.threshold = 5.0
        if isinstance(event, CheckpointReady):
            state = copy.deepcopy(event.state)
    rest = distill(spec, teacher, controls=None if resumed else controls, resume=state)
    steps = [e for e in rest if isinstance(e, RoundDone)]
    assert {(step.epoch, step.threshold) for step in steps} == {(4, 5.0)}


@pytest.mark.usefixtures("few_calibration_images")
def test_a_found_threshold_that_is_confirmed_by_hand_stays(teacher):
    """It was not noted, so that the run could not be made again."""
    controls, events = Controls(), []
    for event in distill(short_run(epochs=3, **{"split.threshold": "share"}), teacher, controls=controls):
        events.append(event)
        if isinstance(event, ThresholdChanged) and event.by == "auto":
            controls.threshold = event.threshold
    found, by_hand = [e for e in events if isinstance(e, ThresholdChanged)]
    assert (found.by, by_hand.by, by_hand.threshold) == ("auto", "hand", found.threshold)
    assert {e.threshold for e in events if isinstance(e, RoundDone) and e.epoch > 1} == {found.threshold}


@pytest.mark.usefixtures("few_calibration_images")
def test_a_checkpoint_of_a_version_that_found_a_threshold_once_keeps_it(teacher):
    spec = short_run(epochs=3, **{"split.threshold": "share"})
    (_, state, _) = [copy.deepcopy(e.state) for e in distill(spec, teacher) if isinstance(e, CheckpointReady)]
    del state["threshold_is_by_hand"]
    steps = [e for e in distill(spec, teacher, resume=state) if isinstance(e, RoundDone)]
    assert {step.threshold for step in steps} == {state["threshold"]}


def test_an_unknown_student_is_named(teacher):
    with pytest.raises(ValueError, match="'alexnet'"):
        next(distill(short_run(student="alexnet"), teacher))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", SYNTHESIZERS)
@pytest.mark.parametrize("escape", ["none", "atesc"])
def test_a_run_on_cuda(teacher, escape, kind):
    spec = short_run(device="cuda", **{"escape.kind": escape, "synthesis.kind": kind})
    events = list(distill(spec, copy.deepcopy(teacher)))
    losses = [value for e in events if isinstance(e, RoundDone) for value in e.losses.values()]
    assert torch.isfinite(torch.tensor(losses)).all()
