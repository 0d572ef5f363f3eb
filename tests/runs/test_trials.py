"""A run parts from another's checkpoint: the same numbers with the same threshold, others with another."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from atesc_core.errors import StoreError, TrialError, UnknownRunError
from atesc_core.files import atomic_write
from atesc_core.runs import RunStore, trials
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import Fork
from atesc_core.runs.worker import work
from atesc_core.specs.teacher import TeacherSpec
from tests.support.copies import copy_lab
from tests.support.damage import flip_bit
from tests.support.tiny_runs import TINY, save_tiny_teacher

# Energy attacks nothing, so that a calibration takes no time.
LONG = {
    "epochs": 4,
    "escape.warmup_epochs": 2,
    "split.threshold": 2.3033,
    "split.score": "energy",
    "split.steps": 1,
    "snapshot_images": 8,
}


@pytest.fixture
def spec(spec):
    return spec.replaced(LONG)


def done(store: RunStore, run_id: str) -> None:
    work(store.runs_dir, "cpu")
    run = store.get(run_id)
    assert run.status == "done", run.error


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    """A runs folder with a finished run, to be copied."""
    store = RunStore(tmp_path_factory.mktemp("finished"))
    save_tiny_teacher(store.runs_dir)
    run_id = store.create(TINY.replaced(LONG))
    done(store, run_id)
    store.close()
    return store.runs_dir, run_id


@pytest.fixture
def store(tmp_path, finished):
    copy_lab(finished[0], tmp_path / "runs")
    store = RunStore(tmp_path / "runs")
    yield store
    store.close()


@pytest.fixture
def parent(finished) -> str:
    return finished[1]


def student(store: RunStore, run_id: str) -> dict[str, torch.Tensor]:
    return torch.load(store.checkpoint_file(run_id), weights_only=True)["state"]["student"]


def assert_same_numbers(store: RunStore, one: str, other: str, after: int) -> None:
    """Every epoch and round after ``after``, to the last bit."""
    for frame in ("epochs", "rounds"):
        rows = [getattr(store, frame)(each).drop(columns="time") for each in (one, other)]
        rows = [each[each["epoch"] > after].dropna(axis=1, how="all").reset_index(drop=True) for each in rows]
        assert len(rows[0])
        pd.testing.assert_frame_equal(*rows, check_exact=True, check_like=True)


# ── what is kept ────────────────────────────────────────────────────────────────────────────────────


def test_a_run_keeps_the_checkpoint_where_its_split_begins_and_no_other(store, parent):
    assert store.fork_points(parent) == [2]
    kept = torch.load(store.fork_point_file(parent, 2), weights_only=True)
    assert kept["epoch"] == 2
    assert store.checkpoint_file(parent).stat().st_nlink == 1


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, [[], [2], [2, 3], [2]]),
        ({"escape.warmup_epochs": 0}, [[1], [2], [3], []]),
        ({"escape.warmup_epochs": 4, "epochs": 5}, [[], [], [], [4]]),
        ({"escape.kind": "none"}, [[]] * 4),
        ({"escape.kind": "abd"}, [[]] * 4),
    ],
)
def test_what_is_kept_after_each_epoch(store, spec, changes, kept):
    log = RunLog(store, store.get(store.create(spec.replaced(changes))))
    for epoch, there in enumerate(kept, 1):
        with atomic_write(log.checkpoint_file) as file:
            file.write(f"epoch {epoch}".encode())
        log.keep_fork_point(epoch)
        log.keep_fork_point(epoch)  # of a run that is resumed just there
        assert store.fork_points(log.run.id) == there
        assert [store.fork_point_file(log.run.id, at).read_text() for at in there] == [f"epoch {at}" for at in there]
    names = {path.name for path in log.checkpoint_file.parent.rglob("*") if path.is_file()}
    assert names - {"spec.yaml", "checkpoint.pt"} == {f"{at:05d}.pt" for at in there}


# ── the same numbers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({}, 2),
        ({}, 0),
        (
            {
                "synthesis.kind": "nayer",
                "synthesis.batch_size": 16,
                "synthesis.width": 8,
                "synthesis.steps": 2,
                "synthesis.pool": 60,
                "synthesis.noise": 8,
                "rounds": 2,
            },
            2,
        ),
    ],
    ids=["from the middle", "from the start", "pooled"],
)
def test_with_the_same_threshold_a_fork_is_its_parents_own_continuation(store, spec, parent, changes, after):
    run_id = store.create(spec.replaced(changes)) if changes else parent
    done(store, run_id)
    fork = store.fork(Fork(run_id, after, store.threshold(run_id)), until=4)
    done(store, fork)
    assert_same_numbers(store, fork, run_id, after)
    ours, theirs = student(store, fork), student(store, run_id)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert list(store.epochs(fork)["epoch"]) == list(range(after + 1, 5))
    assert store.get(fork).metrics == store.get(run_id).metrics
    assert store.fork_points(fork) == []


def test_one_group_is_a_threshold_that_can_be_tried(store, parent):
    trial = trials.start(store, parent, math.inf, epochs=1, device=store.get(parent).device)
    assert "one group" in trial.new.group
    done(store, trial.new.id)
    new = store.get(trial.new.id)
    assert new.fork.threshold == math.inf
    assert set(store.rounds(new.id)["threshold"]) == {math.inf}
    assert set(store.rounds(new.id)["fragile_share"]) == {1.0}
    assert store.snapshot(new.id, new.epochs).fragile.all()
    (stored,) = store.database.read("SELECT fork FROM runs WHERE id = ?", new.id)
    json.loads(stored["fork"], parse_constant=pytest.fail)  # JSON has no Infinity
    assert trials.find(store, new.id).fork.threshold == math.inf


def test_another_threshold_holds_from_the_first_round_and_nothing_else_is_different(store, parent):
    fork = store.fork(Fork(parent, 2, 9.5), until=3, label="new")
    waiting = store.get(fork)
    assert (waiting.epoch, waiting.round, waiting.epochs, waiting.progress) == (2, 3, 3, 0)
    assert waiting.spec == store.get(parent).spec
    done(store, fork)
    run, steps = store.get(fork), store.rounds(fork)
    assert (run.epoch, run.epochs, run.progress, run.images) == (3, 3, 1, 3 * 3 * 2 * 16)
    assert list(steps["epoch"]) == [3, 3, 3]
    assert (steps["threshold"] == 9.5).all()
    assert list(store.snapshot_epochs(fork)) == [3]
    own, theirs = (store.rounds(each).query("epoch == 3")["fragile_share"] for each in (fork, parent))
    assert own.iloc[0] != theirs.iloc[0], "the first round was split elsewhere"
    history = store.history(fork)
    changes = history[history["kind"] == "threshold"]
    assert [*zip(changes["epoch"], changes["round"], changes["value"], changes["text"], strict=True)] == [
        (3, 1, 9.5, "hand")
    ]
    assert history.iloc[0]["text"] == f"from epoch 2 of run {parent}"


def test_learning_rates_stay_those_of_the_parents_spec(store, parent):
    fork = store.fork(Fork(parent, 2, 9.5), until=3)
    done(store, fork)
    kept = torch.load(store.checkpoint_file(fork), weights_only=True)
    steps, whole = 3 * 3 * 2, 4 * 3 * 2
    expected = 0.1 * (1 + math.cos(math.pi * steps / whole)) / 2
    assert kept["state"]["optimiser"]["param_groups"][0]["lr"] == pytest.approx(expected)


def test_a_fork_from_the_start_warms_up_as_its_parent_did(store, spec):
    run_id = store.create(spec.replaced({"escape.warmup_epochs": 0, "epochs": 2}))
    done(store, run_id)
    assert store.fork_points(run_id) == []
    assert trials.options(store, store.get(run_id)).fork_epochs == (0,)
    fork = store.fork(Fork(run_id, 0, 9.5), until=1)
    done(store, fork)
    assert (store.rounds(fork)["threshold"] == 9.5).all()


def test_a_fork_that_is_interrupted_goes_on_to_the_same_result(store, parent):
    whole = store.fork(Fork(parent, 2, 9.5), until=4)
    done(store, whole)
    cut = store.fork(Fork(parent, 2, 9.5), until=4)
    leave_within(store, cut, epoch=3)
    assert store.get(cut).status == "interrupted"
    assert len(store.rounds(cut)) == 2
    store.resume(cut)
    leave_within(store, cut, epoch=4)
    assert list(store.epochs(cut)["epoch"]) == [3]
    store.resume(cut)
    done(store, cut)
    assert_same_numbers(store, cut, whole, after=2)
    assert store.get(cut).images == store.get(parent).images


def leave_within(store: RunStore, run_id: str, epoch: int) -> None:
    """A worker that goes after the second round of this epoch."""

    class Leaving:
        def is_set(self) -> bool:
            run = store.get(run_id)
            return (run.epoch, run.round) == (epoch, 2)

    work(store.runs_dir, "cpu", leaving=Leaving())


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_parent_takes_nothing_from_its_forks(store, parent):
    fork = trials.start(store, parent, 9.5, epochs=1).new.id
    store.delete(parent)
    done(store, fork)
    assert list(store.epochs(fork)["epoch"]) == [3]
    found = trials.find(store, fork)
    assert found.shared_epochs(store).empty
    assert [run.id for run in found.arms] == [found.old.id, fork]
    store.delete(found.old.id)
    assert trials.find(store, fork).old is None
    assert trials.find(store, fork).difference(store).empty


def test_a_checkpoint_that_is_gone_is_named_before_anything_is_queued(store, parent):
    store.fork_point_file(parent, 2).unlink()
    with pytest.raises(StoreError, match=f"epoch: 2 of run {parent} has no checkpoint to branch off; there are: 0"):
        store.fork(Fork(parent, 2, 9.5), until=3)
    assert store.distillations(include_forks=True) == store.distillations()
    assert [path.name for path in (store.runs_dir / "runs").iterdir()] == [parent]


@pytest.mark.parametrize("damage", ["gone", "cut short", "something else", "one bit"])
def test_a_damaged_checkpoint_fails_its_fork_and_leaves_the_parent_as_it_was(store, parent, damage):
    fork = store.fork(Fork(parent, 2, 9.5), until=3)
    file, before = store.checkpoint_file(fork), store.epochs(parent)
    content = file.read_bytes()
    file.unlink()  # it is the parent's file too
    if damage == "one bit":
        file.write_bytes(content)
        flip_bit(file)
    elif damage != "gone":
        file.write_bytes(content[: len(content) // 2] if damage == "cut short" else b"not a checkpoint")
    work(store.runs_dir, "cpu")
    run = store.get(fork)
    assert run.status == "failed"
    assert run.error.startswith("checkpoint: ")
    assert ("is gone" if damage == "gone" else "cannot be read") in run.error
    assert store.epochs(parent).equals(before)
    assert torch.load(store.fork_point_file(parent, 2), weights_only=True)["epoch"] == 2


def test_a_teacher_that_is_gone_is_named(store, parent):
    fork = store.fork(Fork(parent, 2, 9.5), until=3)
    for file in (store.runs_dir / "teachers").iterdir():
        file.unlink()
    work(store.runs_dir, "cpu")
    assert "'tiny'" in store.get(fork).error


@pytest.mark.parametrize(
    ("fork", "until", "says"),
    [
        ({"threshold": math.nan}, 3, "threshold: nan: expected a number, or inf"),
        ({"epoch": 1}, 3, "epoch: 1 of run .* there are: 0, 2"),
        ({}, 2, "until: 2: expected an epoch after 2, at most 4"),
        ({}, 5, "until: 5: expected an epoch after 2, at most 4"),
    ],
)
def test_what_cannot_be_forked_is_said(store, parent, fork, until, says):
    with pytest.raises((ValueError, StoreError), match=says):
        store.fork(Fork(**{"parent": parent, "epoch": 2, "threshold": 9.5} | fork), until)
    with pytest.raises(UnknownRunError):
        store.fork(Fork("../../etc", 2, 9.5), until)


# ── a try ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_runs_own_epochs_are_the_old_arm(store, parent):
    run = store.get(parent)
    found = trials.start(store, parent, 9.5, epochs=1, device=run.device)
    assert (found.old_is_parent, found.old.id, found.first_epoch, found.last_epoch) == (True, parent, 3, 3)
    assert (found.fork.epoch, found.fork.old_threshold) == (2, store.threshold(parent))
    assert [run.id for run in found.arms] == [found.new.id] == [run.id for run in store.queue()]
    assert found.new.label == f"try: {found.fork.old_threshold:.2f} → 9.50, new"
    done(store, found.new.id)
    rows = trials.find(store, found.new.id).difference(store)
    theirs, own = (store.epochs(each).set_index("epoch").loc[3] for each in (parent, found.new.id))
    assert list(rows.columns) == ["epoch", "iacc_old", "iacc_new", "iacc", "oacc_old", "oacc_new", "oacc"]
    assert rows.iloc[0].tolist() == [
        3,
        theirs["iacc"],
        own["iacc"],
        own["iacc"] - theirs["iacc"],
        theirs["oacc"],
        own["oacc"],
        own["oacc"] - theirs["oacc"],
    ]
    assert list(found.shared_epochs(store)["epoch"]) == [1, 2]


def test_both_arms_run_where_the_runs_own_epochs_are_not_the_same_numbers(store, parent):
    here = store.get(parent).device
    assert not trials.start(store, parent, 9.5, device="another machine").old_is_parent
    with store.database.write() as connection:
        connection.execute("UPDATE rounds SET threshold = 3.0 WHERE run = ? AND epoch = 3 AND round = 2", (parent,))
    found = trials.start(store, parent, 9.5, epochs=1, device=here)
    assert not found.old_is_parent
    assert [run.fork.threshold for run in found.arms] == [found.fork.old_threshold, 9.5]
    assert len({run.group for run in found.arms}) == 1
    assert [run.label.rpartition(", ")[2] for run in found.arms] == ["old", "new"]
    assert [each.new.id for each in trials.list_trials(store, parent)][0] == found.new.id


def test_the_old_arm_of_a_rule_that_finds_another_threshold_in_each_epoch_is_computed(store, spec):
    run_id = store.create(spec.replaced({"split.threshold": "share"}))
    done(store, run_id)
    assert store.rounds(run_id)["threshold"].dropna().nunique() == 2
    found = trials.start(store, run_id, 9.5, epochs=2, device=store.get(run_id).device)
    assert [run.fork.threshold for run in found.arms] == [store.threshold(run_id), 9.5]


@pytest.mark.parametrize("after", [0, 2])
def test_the_parents_own_changes_do_not_replace_the_tried_threshold(store, spec, after):
    """They did, from their round on, in both arms: the comparison was of two equal runs there."""
    changes = {"threshold_changes": ["2.1:threshold=5.0", "3.1:threshold=2.9", "4.2:threshold=2.7"]}
    run_id = store.create(spec.replaced(changes))
    done(store, run_id)
    if not after:
        store.fork_point_file(run_id, 2).unlink()
    found = trials.start(store, run_id, 9.5, epochs=2, after=after, device=store.get(run_id).device)
    assert not found.old_is_parent
    work(store.runs_dir, "cpu")
    old, new = (store.rounds(arm.id) for arm in found.arms)
    assert set(old["threshold"].dropna()) == {2.7}
    assert set(new["threshold"].dropna()) == {9.5}
    assert list(store.rounds(run_id).query("epoch > 2")["threshold"]) == [2.9] * 3 + [2.9] + [2.7] * 2
    # As from a parent without such changes: nothing but the threshold is different.
    plain = store.create(spec)
    done(store, plain)
    expected = store.fork(Fork(plain, after, 9.5), until=4)
    done(store, expected)
    assert_same_numbers(store, found.new.id, expected, after=2)


def test_forks_are_not_in_the_plain_list(store, parent):
    found = trials.start(store, parent, 9.5)
    assert [run.id for run in store.distillations()] == [parent]
    assert [run.id for run in store.distillations(include_forks=True)] == [found.new.id, found.old.id, parent]


def test_a_checkpoint_that_goes_while_the_arms_are_queued_leaves_none_of_them_in_line(store, parent, monkeypatch):
    fork = RunStore.fork
    monkeypatch.setattr(
        RunStore,
        "fork",
        lambda self, wanted, *more: (
            fork(self, wanted, *more) if wanted.old is None else fork(self, replace(wanted, epoch=1), *more)
        ),
    )
    with pytest.raises(StoreError, match="no checkpoint to branch off"):
        trials.start(store, parent, 9.5)
    assert store.queue() == []


def test_a_run_under_way_can_be_parted_from_at_its_newest_epoch_too(store, spec):
    run_id = store.create(spec.replaced({"epochs": 5}))
    leave_within(store, run_id, epoch=2)
    with pytest.raises(TrialError, match="The split begins after epoch 2: until then"):
        trials.options(store, store.get(run_id))
    store.resume(run_id)
    leave_within(store, run_id, epoch=5)
    assert store.fork_points(run_id) == [2, 4]
    assert trials.options(store, store.get(run_id)).fork_epochs == (4, 2)
    last = store.fork(Fork(run_id, 4, store.threshold(run_id)), until=5)
    done(store, last)
    store.resume(run_id)
    done(store, run_id)
    assert store.fork_points(run_id) == [2]
    assert_same_numbers(store, last, run_id, after=4)


def test_a_run_from_before_there_were_forks_is_tried_from_its_start(store, parent):
    store.fork_point_file(parent, 2).unlink()
    assert trials.options(store, store.get(parent)).fork_epochs == (0,)
    found = trials.start(store, parent, 9.5, epochs=1, device=store.get(parent).device)
    assert (found.old_is_parent, found.first_epoch, found.last_epoch) == (True, 3, 3)
    done(store, found.new.id)
    assert list(found.difference(store)["epoch"]) == [3], "the warm-up is the same in both"
    old, new = found.epochs(store)
    assert list(new["epoch"]) == [1, 2, 3]
    assert old.iloc[:2]["iacc"].tolist() == new.iloc[:2]["iacc"].tolist()


@pytest.mark.parametrize(
    ("changes", "says"), [({"escape.kind": "none"}, "splits nothing"), ({}, "The split begins after epoch 2")]
)
def test_why_a_run_cannot_be_tried(store, spec, changes, says):
    with pytest.raises(TrialError, match=says):
        trials.options(store, store.get(store.create(spec.replaced(changes))))


def test_a_training_and_a_try_cannot_be_tried(store, parent):
    training = store.create(TeacherSpec(name="mine", pair="mnistm-mnist", kind="NTL", epochs=2, device="cpu"))
    with pytest.raises(TrialError, match="trains a teacher"):
        trials.start(store, training, 1.0)
    with pytest.raises(TrialError, match=f"itself a try: try another threshold on run {parent}"):
        trials.start(store, trials.start(store, parent, 9.5).new.id, 1.0)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"epochs": 3}, "epochs: 3: expected 1 to 2"),
        ({"epochs": 0}, "epochs: 0"),
        ({"after": 1}, "after: 1: expected 2"),
        ({"threshold": None}, "is the one that run .* has"),
        ({"threshold": math.nan}, "nan: expected a number, or inf"),
    ],
)
def test_what_cannot_be_tried_is_said(store, parent, wish, says):
    wish = {"threshold": 9.5} | wish
    if wish["threshold"] is None:
        wish["threshold"] = store.threshold(parent)
    with pytest.raises(TrialError, match=says):
        trials.start(store, parent, **wish)
    assert store.queue() == []
    with pytest.raises(UnknownRunError, match="is not in a try"):
        trials.find(store, parent)
