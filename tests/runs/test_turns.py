"""Turn by turn and in slow motion: what the worker does with wishes about turns, and what is kept of the last one."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

from atesc_core.distillation.loop import distill
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.errors import UnknownRunError
from atesc_core.runs import ensure_worker
from atesc_core.runs.log import RunLog
from atesc_core.runs.session import Session
from atesc_core.runs.turn_file import load_turn, save_turn
from atesc_core.teachers.zoo import load_teacher
from tests.support.tiny_runs import save_tiny_teacher
from tests.support.waiting import until
from tests.support.workers import WorkerThread, workers

HOUR = 3600.0


def unmeasured(run, runs_dir, controls, resume):
    """The real loop; no student is measured, which takes longer than all of a tiny run's rounds."""
    return distill(run.spec, load_teacher(run.spec.teacher, runs_dir), None, controls, resume)


def next_turn(lab: WorkerThread, run_id: str) -> tuple[str, int, int, int, int]:
    """Take the next turn, wait until it is there: who, epoch, round, number, of."""
    lab.store.take_turn(run_id)
    lab.wait(run_id, "paused")
    return place(lab.store.last_turn(run_id))


def place(turn) -> tuple[str, int, int, int, int]:
    return turn.who, turn.epoch, turn.round, turn.number, turn.turn_count


def weights(store, run_id: str) -> dict[str, torch.Tensor]:
    return torch.load(store.checkpoint_file(run_id), weights_only=True)["state"]["student"]


def same_student(store, one: str, other: str) -> bool:
    ours, theirs = weights(store, one), weights(store, other)
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture
def lab(store):
    save_tiny_teacher(store.runs_dir)
    lab = WorkerThread(store, unmeasured)
    yield lab
    lab.end()


def test_a_run_goes_turn_by_turn_and_ends_as_if_it_had_not(lab, store, spec):
    run_id = store.create(spec.replaced({"synthesis.steps": 2}))
    store.take_turn(run_id)
    lab.start()
    lab.wait(run_id, "paused")
    assert place(store.last_turn(run_id)) == ("generator", 1, 1, 1, 2)
    assert (store.get(run_id).epoch, len(store.rounds(run_id))) == (0, 0), "the round is not over"
    assert next_turn(lab, run_id) == ("generator", 1, 1, 2, 2)
    assert next_turn(lab, run_id) == ("student", 1, 1, 1, 2)
    assert next_turn(lab, run_id) == ("student", 1, 1, 2, 2)
    assert (store.get(run_id).epoch, store.get(run_id).round) == (1, 1)
    assert next_turn(lab, run_id) == ("generator", 1, 2, 1, 2)
    store.step(run_id)  # the rest of the round
    lab.wait(run_id, "paused")
    assert (store.get(run_id).round, store.last_turn(run_id)) == (2, None), "the run has gone on past the last turn"
    store.take_turn(run_id)
    store.take_turn(run_id)  # pressed twice: two turns
    until(
        lambda: store.get(run_id).status == "paused" and store.last_turn(run_id) and store.last_turn(run_id).number == 2
    )
    kinds = [kind for kind in lab.kinds(run_id) if kind in ("turn", "step", "resumed")]
    assert kinds == ["turn", "turn", "step", "turn"], "one note for all turns since a round"
    store.resume(run_id)
    whole = store.create(spec.replaced({"synthesis.steps": 2}))
    lab.wait(run_id, "done")
    lab.wait(whole, "done")
    assert same_student(store, run_id, whole)
    assert len(store.rounds(run_id)) == 6


def test_the_last_turn_of_an_epoch_brings_its_end(lab, store, spec):
    run_id = store.create(spec.replaced({"rounds": 1, "student_steps": 1}))
    store.take_turn(run_id)
    lab.start()
    lab.wait(run_id, "paused")
    assert next_turn(lab, run_id) == ("student", 1, 1, 1, 1)
    assert store.snapshot_epochs(run_id) == [1]
    assert list(store.epochs(run_id)["epoch"]) == [1]
    assert next_turn(lab, run_id) == ("generator", 2, 1, 1, 1)
    store.stop(run_id)
    assert store.get(run_id).status == "stopped"


def test_slow_motion_waits_for_the_next_turn_and_for_no_pause(lab, store, spec):
    run_id = store.create(spec)
    store.slow_motion(run_id, HOUR)
    lab.start()
    until(lambda: store.last_turn(run_id))
    assert store.get(run_id).in_slow_motion
    assert lab.kinds(run_id)[-1] == "slow"
    store.pause(run_id)
    lab.wait(run_id, "paused")  # within an hour
    assert place(store.last_turn(run_id)) == ("generator", 1, 1, 1, 1)
    store.slow_motion(run_id, HOUR)
    until(lambda: store.last_turn(run_id).who == "student")
    store.take_turn(run_id)  # the next one, now
    lab.wait(run_id, "paused")
    assert place(store.last_turn(run_id)) == ("student", 1, 1, 2, 2)
    store.slow_motion(run_id, HOUR)
    until(lambda: place(store.last_turn(run_id)) == ("generator", 1, 2, 1, 1))
    store.stop(run_id)
    lab.wait(run_id, "stopped")


def test_the_pace_can_be_changed_and_slow_motion_left_at_any_time(lab, store, spec):
    run_id = store.create(spec)
    store.slow_motion(run_id, HOUR)
    lab.start()
    until(lambda: store.last_turn(run_id))
    store.slow_motion(run_id, 0.01)
    until(lambda: store.get(run_id).epoch == 2)
    store.slow_motion(run_id, HOUR)
    until(lambda: lab.kinds(run_id).count("slow") == 3)
    store.resume(run_id)
    lab.wait(run_id, "done")
    assert not store.get(run_id).in_slow_motion
    assert list(store.history(run_id).query("kind == 'slow'")["value"]) == [HOUR, 0.01, HOUR]
    assert lab.kinds(run_id)[-2:] == ["resumed", "done"]


def test_a_turn_asked_for_in_the_middle_of_a_round_is_the_next_rounds(lab, store, spec):
    """The rest of a round that nobody looked at is no turn: pressed while the run was about to pause, the button
    gave nothing."""
    run_id = store.create(spec)
    session = Session.open(RunLog(store, store.get(run_id)), unmeasured)
    session.obey_requests()
    session.write(next(session.events))  # the round, not looked at
    store.pause(run_id)
    store.take_turn(run_id)
    assert not session.obey_requests("round")
    session.write(next(session.events))
    assert session.obey_requests("turn")
    assert place(store.last_turn(run_id)) == ("generator", 1, 2, 1, 1)
    assert store.get(run_id).steps_left == 0


def test_a_worker_asked_to_leave_does_not_wait_for_the_next_turn(lab, store, spec):
    run_id = store.create(spec)
    store.slow_motion(run_id, HOUR)
    lab.start()
    until(lambda: store.last_turn(run_id))
    lab.leaving.set()
    lab.wait(run_id, "interrupted")
    lab.thread.join(30)
    assert not lab.thread.is_alive()


def test_a_threshold_set_between_turns_is_not_lost_before_it_holds(lab, store, spec):
    """It holds from the next round on; the end of the round that was going on must not take it for used."""
    run_id = store.create(spec.replaced({"escape.warmup_epochs": 0}))
    store.take_turn(run_id)
    lab.start()
    lab.wait(run_id, "paused")
    store.set_threshold(run_id, 2.5)
    next_turn(lab, run_id)
    assert next_turn(lab, run_id) == ("student", 1, 1, 2, 2)
    run = store.get(run_id)
    assert (run.round, run.pending_threshold) == (1, 2.5)
    for _ in range(3):
        next_turn(lab, run_id)
    assert list(store.rounds(run_id)["threshold"]) == [4.0, 2.5]
    assert store.get(run_id).pending_threshold is None
    assert store.last_turn(run_id).threshold == 2.5


@pytest.mark.usefixtures("no_worker_is_left")
def test_a_run_killed_between_turns_resumes_to_the_same_result(store, spec):
    save_tiny_teacher(store.runs_dir)
    lab, killed = WorkerThread(store, unmeasured), store.create(spec)
    store.step(killed)
    ensure_worker(store.runs_dir)
    for _ in range(2):
        lab.wait(killed, "paused")
        store.step(killed)
    until(lambda: store.get(killed).status == "paused" and store.get(killed).round == 3)
    assert next_turn(lab, killed) == ("generator", 2, 1, 1, 1)
    assert next_turn(lab, killed) == ("student", 2, 1, 1, 2)
    [process] = workers(store)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert store.get(killed).status == "interrupted"
    store.resume(killed)
    whole = store.create(spec)  # the same run, never looked at
    ensure_worker(store.runs_dir)
    lab.wait(killed, "done")
    lab.wait(whole, "done")
    assert same_student(store, killed, whole)
    assert store.last_turn(killed) is None
    assert not store.trace_file(killed).exists(), "of a pass that was taken back"


def test_a_turn_comes_back_as_it_was(store, spec, tmp_path):
    random = np.random.default_rng(0)
    pictures, logits = random.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8), random.random((5, 10), dtype=np.float32)
    mask = np.array([True, False, True, False, False])
    for turn in (
        GeneratorTurn(
            1,
            2,
            1,
            3,
            {"g/bn": np.array([0.5, 0.25], np.float32)},
            0.125,
            7,
            pictures,
            pictures,
            logits,
            logits,
            logits,
            logits,
            labels=np.arange(5),
        ),
        StudentTurn(
            1,
            2,
            1,
            3,
            {"s/total": 0.5},
            {"s/total": 0.25},
            0.125,
            7,
            0.1,
            pictures,
            logits,
            logits,
            logits,
            mask,
            ~mask,
            mask,
            2.5,
        ),
    ):
        save_turn(turn, tmp_path / "turn.npz")
        again = load_turn(tmp_path / "turn.npz")
        assert type(again) is type(turn)
        for name, value in vars(turn).items():
            np.testing.assert_equal(getattr(again, name), value, err_msg=name)
    np.savez(tmp_path / "turn.npz", who="student", losses=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_turn(tmp_path / "turn.npz")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_seconds_a_turn_are_above_nothing(store, spec, seconds):
    with pytest.raises(ValueError, match="seconds_per_turn: .*: expected seconds a turn, above 0"):
        store.slow_motion(store.create(spec), seconds)


def test_turns_of_what_is_no_run_are_refused(store, spec):
    for ask in (store.last_turn, store.take_turn, lambda run_id: store.slow_motion(run_id, 1.0)):
        for run_id in ("../../x", "zzzzzzzz"):
            with pytest.raises(UnknownRunError):
                ask(run_id)


def test_a_turn_asked_for_after_one_was_seen_is_the_next(store, spec):
    """Pressed just after a turn of slow motion appeared, the button paused at that turn and gave no new one."""
    save_tiny_teacher(store.runs_dir)
    run_id = store.create(spec)
    store.slow_motion(run_id, HOUR)
    session = Session.open(RunLog(store, store.get(run_id)), unmeasured)
    session.obey_requests()
    session.write(next(session.events))
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (run_id,))
    store.take_turn(run_id)
    assert not session.obey_requests("turn")
    session.write(next(session.events))
    assert session.obey_requests("turn")
