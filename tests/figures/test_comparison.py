"""Runs of one spec come together, nothing else does, and the numbers are exact."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from atesc_core.figures import comparison
from atesc_core.figures.comparison import MeasuredRun, group_by_seed, group_labels, results, spec_difference
from atesc_core.figures.export import table
from atesc_core.runs import DistillationRun
from atesc_core.runs.run import ClassRecalls, Fork
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.run import RunSpec

SPEC = RunSpec(teacher="t", epochs=3)


def measured(
    *points: tuple[float, float],
    spec: RunSpec = SPEC,
    metric: str = "olacc",
    status: str = "done",
    moved: tuple = (),
    created: float = 0.0,
    **changes,
) -> MeasuredRun:
    """A run whose epochs 1, 2, ... measured (IAcc, OOD metric)."""
    spec = spec.replaced({name.replace("__", "."): value for name, value in changes.items()})
    epochs = pd.DataFrame(
        [
            {"epoch": n, "images": 10 * n, "time": 0.0, "iacc": iacc, metric: ood}
            for n, (iacc, ood) in enumerate(points, 1)
        ]
    )
    run = DistillationRun(
        id=f"{spec.seed}-{created:g}",
        spec=spec,
        label=None,
        group=None,
        status=status,
        requested_state="run",
        steps_left=0,
        seconds_per_turn=None,
        pending_threshold=None,
        device="cpu",
        created=created,
        started=None,
        finished=None,
        epoch=len(points),
        round=1,
        epochs=spec.epochs,
        rounds=1,
        images=0,
        images_per_s=None,
        eta_s=None,
        error=None,
        queue_position=None,
        metrics={},
        measured_epoch=len(points),
    )
    return MeasuredRun(run, epochs if points else pd.DataFrame(columns=["epoch"]), moved)


THREE = [
    measured((50, 90), (60, 80), (70, 10), seed=2),
    measured((52, 92), (62, 70), (74, 20), seed=0),
    measured((54, 94), (64, 60), (72, 60), seed=1),
]


def test_seeds_of_one_spec_are_one_group_in_seed_order():
    (group,) = group_by_seed(THREE)
    assert group.seeds == (0, 1, 2)
    assert (group.spec.seed, group.setting, group.metrics, group.last_epoch) == (0, "open-set", ("iacc", "olacc"), 3)
    assert list(group.epochs.columns) == ["seed", "epoch", "iacc", "olacc"]
    assert len(group.epochs) == 9
    assert not group.notes


def test_mean_sd_and_range_are_over_seeds():
    (group,) = group_by_seed(THREE)
    at_end = comparison.summary(group.epochs, "olacc").iloc[-1]
    assert at_end.to_dict() == pytest.approx(
        {"epoch": 3, "mean": 30.0, "sd": math.sqrt(700), "low": 10.0, "high": 60.0, "seeds": 3}
    )


def test_one_seed_has_no_sd():
    (group,) = group_by_seed(THREE[:1])
    last = comparison.summary(group.epochs, "iacc").iloc[-1]
    assert (last["mean"], last["low"], last["high"], last["seeds"]) == (70, 70, 70, 1)
    assert math.isnan(last["sd"])


@pytest.mark.parametrize(
    "other",
    [
        measured((50, 90), seed=1, escape__weight=0.5),
        measured((50, 90), seed=1, teacher="other"),
        measured((50, 90), seed=1, metric="asr"),
        measured((50, 90), seed=1, moved=((1, 2, 4.0),)),
    ],
)
def test_what_differs_in_more_than_the_seed_is_not_averaged(other):
    groups = group_by_seed([measured((50, 90)), other])
    assert [len(group.seeds) for group in groups] == [1, 1]


def test_settings_keep_their_own_columns():
    mixed = results(group_by_seed([measured((50, 90)), measured((40, 30), metric="asr", teacher="b")]))
    assert list(mixed["setting"]) == ["open-set", "backdoor"]
    assert list(mixed["olacc"].fillna(-1)) == [90, -1]
    assert list(mixed["asr"].fillna(-1)) == [-1, 30]


def test_a_run_that_still_goes_holds_the_mean_at_the_last_common_epoch():
    going = measured((10, 100), (20, 90), seed=9, status="running")
    (group,) = group_by_seed([*THREE, going])
    assert group.last_epoch == 2
    assert comparison.summary(group.epochs, "iacc")["mean"].tolist() == pytest.approx([41.5, 51.5])
    assert group.notes == ("Still going: shown to epoch 2 of 3, the last that all 4 seeds have.",)


def test_one_run_that_still_goes_says_so():
    (group,) = group_by_seed([measured((10, 100), status="paused")])
    assert group.notes == ("Still going: shown to epoch 1 of 3, the last it has.",)


def test_a_run_that_ended_early_does_not_shorten_the_others():
    failed = measured((10, 100), seed=9, status="failed")
    (group,) = group_by_seed([*THREE, failed])
    assert (group.seeds, group.last_epoch) == ((0, 1, 2), 3)
    assert group.notes == ("Seed 9 failed after epoch 1: left out.",)


def test_a_run_that_ended_early_and_is_alone_is_shown():
    (group,) = group_by_seed([measured((10, 100), status="stopped")])
    assert (group.last_epoch, group.notes) == (1, ("Ended after epoch 1 of 3.",))


def test_a_seed_that_was_run_twice_counts_once():
    short, long = measured((1, 1), created=2.0, status="stopped"), measured((5, 5), (6, 6), (7, 7), created=1.0)
    again = measured((5, 5), (6, 6), (8, 8), created=3.0)
    (group,) = group_by_seed([short, long, again])
    assert [each.run.id for each in group.runs] == ["0-3"]
    assert group.notes == ("2 runs of a seed that is here already: left out.",)


def test_a_run_without_an_epoch_is_in_no_group():
    assert group_by_seed([measured(status="queued")]) == []


# ── smoothing ───────────────────────────────────────────────────────────────────────────────────────


def test_smoothing_is_a_weighted_mean_of_all_so_far():
    values = pd.DataFrame({"seed": 0, "epoch": [1, 2, 3], "loss": [4.0, 1.0, 7.0]})
    smooth = comparison.summary(values, "loss", 0.5)["mean"]
    assert list(smooth) == pytest.approx([4.0, (4 * 0.5 + 1) / 1.5, (4 * 0.25 + 1 * 0.5 + 7) / 1.75])


def test_seeds_are_smoothed_one_by_one():
    values = pd.DataFrame({"seed": [0, 1, 0, 1], "epoch": [1, 1, 2, 2], "loss": [0.0, 10.0, 3.0, 10.0]})
    smooth = comparison.summary(values, "loss", 0.5)
    assert list(smooth["low"]) == pytest.approx([0.0, 2.0])
    assert list(smooth["high"]) == pytest.approx([10.0, 10.0])


def test_no_smoothing_changes_nothing():
    values = pd.DataFrame({"seed": 0, "epoch": [1, 2], "loss": [4.0, 1.0]})
    pd.testing.assert_frame_equal(comparison.smooth(values, "loss", 0), values)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_smoothing_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=f"smoothing: {share}: expected 0 or more and less than 1"):
        comparison.smooth(pd.DataFrame({"seed": [0], "epoch": [1], "loss": [1.0]}), "loss", share)


def test_losses_are_means_of_their_epoch():
    steps = pd.DataFrame(
        {
            "epoch": [1, 1, 2, 3],
            "round": [1, 2, 1, 1],
            "threshold": 4.0,
            "g/bn": [1.0, 2.0, 5.0, 9.0],
            "s/robust": [np.nan, np.nan, 3.0, 9.0],
        }
    )
    means = comparison.epoch_means(steps, last=2)
    assert list(means.columns) == ["epoch", "g/bn", "s/robust"]
    assert list(means["g/bn"]) == [1.5, 5.0]
    assert list(means["s/robust"].fillna(-1)) == [-1, 3.0]


# ── results, differences, names ─────────────────────────────────────────────────────────────────────


def test_results_are_of_the_last_epoch_and_survive_csv():
    rows = results(group_by_seed([*THREE, measured((1, 99), escape__kind="none")]))
    assert list(rows["spec"]) == ["ATEsc", "plain"]
    assert rows.iloc[0][["iacc", "iacc_sd", "olacc", "seeds", "epoch"]].tolist() == pytest.approx([72, 2, 30, 3, 3])
    assert rows.iloc[1][["iacc", "seeds", "epoch", "epochs"]].tolist() == [1, 1, 1, 3]
    assert math.isnan(rows.iloc[1]["iacc_sd"])
    assert rows.iloc[0]["runs"] == "0-0 1-0 2-0"
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(table.csv(rows))), rows)


def test_a_difference_has_only_what_differs_with_its_sentence_and_what_is_published():
    one, other = SPEC, SPEC.replaced({"seed": 5, "escape.weight": 0.9, "escape.ood_images": 8})
    rows = spec_difference(one, other)
    assert list(rows["field"]) == ["escape.weight", "escape.ood_images"]
    assert list(rows["first"]) == ["0.3", "32"]
    assert list(rows["second"]) == ["0.9", "8"]
    assert rows.loc[0, "description"] == describe_field("escape.weight", one).description
    assert list(rows["published"]) == ["1", ""]


def test_equal_specs_have_no_difference():
    assert spec_difference(SPEC, SPEC.replaced({"seed": 3})).empty


def test_a_field_of_another_synthesis_is_a_dash():
    rows = spec_difference(SPEC, SPEC.replaced({"synthesis.kind": "nayer"})).set_index("field")
    assert tuple(rows.loc["synthesis.balance", ["first", "second"]]) == ("20.0", "–")
    assert tuple(rows.loc["synthesis.noise", ["first", "second"]]) == ("–", "1000")
    assert rows.loc["synthesis.noise", "description"] == "Length of what the noisy layer makes of a label"
    assert rows.loc["synthesis.bn", "published"] == "1; 10"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}], ["ATEsc"]),
        ([{"escape.kind": "none"}, {"escape.kind": "ckd"}], ["plain", "CKD"]),
        ([{"escape.weight": 0.3}, {"escape.weight": 0.5}], ["escape.weight=0.3", "escape.weight=0.5"]),
        ([{"teacher": "a"}, {"teacher": "b", "escape.kind": "none"}], ["a, ATEsc", "b, plain"]),
        ([{}, {"synthesis.kind": "cmi"}], ["DFQ", "CMI"]),
        ([{}, {"preset": "other"}], ["ATEsc (1)", "ATEsc (2)"]),
        (
            [{}, {"lr": 0.2, "epochs": 9, "rounds": 7, "batch_size": 8, "student": "vgg"}],
            ["student=small, epochs=3, rounds=40, 2 more", "student=vgg, epochs=9, rounds=7, 2 more"],
        ),
    ],
)
def test_a_name_says_what_tells_a_spec_from_the_others(changes, expected):
    groups = group_by_seed([measured((1, 1), spec=SPEC.replaced(each)) for each in changes])
    assert group_labels(groups) == expected


def test_a_threshold_moved_by_hand_is_in_the_name():
    groups = group_by_seed([measured((1, 1)), measured((1, 1), moved=((1, 1, 4.0),))])
    assert group_labels(groups) == ["ATEsc", "threshold moved by hand"]


def test_a_try_is_a_line_of_its_own_whatever_its_numbers():
    whole = measured((50, 90), (60, 10), (61, 9), moved=((2, 1, 4.0),))
    fork = measured((50, 90), (60, 10), moved=((2, 1, 4.0),))
    fork = MeasuredRun(replace(fork.run, fork=Fork("abcdefgh", 1, 4.0)), fork.epochs[1:], fork.threshold_changes)
    one, other = groups = group_by_seed([whole, fork])
    assert [len(group.seeds) for group in groups] == [1, 1]
    assert group_labels(groups) == ["threshold moved by hand", "threshold 4 from epoch 2"]
    assert not one.notes
    assert other.notes == ("A try: it parted from a run of these settings after epoch 1, and ended with 2.",)
    assert list(other.epochs["epoch"]) == [2]


@pytest.mark.parametrize(("escape", "by_iacc"), [("atesc", "over-forgetting"), ("ckd", "free"), ("none", "free")])
def test_the_controls_recall_is_that_of_the_students_own_trap_label(escape, by_iacc):
    """In close-set the control has another trap label: Compare took its IAcc instead, unlike the study's table.

    And a student that no escape makes forget, as with CKD, counted as over-forgetting.
    """
    run = measured((60, 10), metric="trap_share", epochs=1, escape__kind=escape)
    run = replace(run, epochs=run.epochs.assign(oacc=50.0, trap_recall=30.0))
    control = measured((83, 20), metric="trap_share", epochs=1, escape__kind="none", teacher="sl", created=1)
    control = replace(control, epochs=control.epochs.assign(oacc=90.0, trap_recall=90.0))
    (student,), (of_sl,) = group_by_seed([run]), group_by_seed([control])
    recalls = {
        run.run.id: ClassRecalls(1, (90.0, 30.0), trap_label=1),
        control.run.id: ClassRecalls(1, (90.0, 40.0), trap_label=0),
    }
    assert comparison.trap_counts(student, of_sl, recalls) == {"free": 1}
    assert comparison.trap_counts(student, of_sl) == {by_iacc: 1}


def test_twin_without_a_trap_does_not_count_as_made_to_forget():
    """Compare said over-forgetting where the study's table said free."""
    run = measured((60, 10), metric="olacc", epochs=1, escape__kind="twin")
    run = replace(run, epochs=run.epochs.assign(trap_recall=5.0))
    for without_trap, outcome in ((False, "over-forgetting"), (True, "free")):
        (group,) = group_by_seed([replace(run, without_trap=without_trap)])
        assert comparison.trap_counts(group) == {outcome: 1}
