"""What the worker does with runs, told by a script in place of the loop: a run is then as fast as the test allows."""

from __future__ import annotations

import pytest
import torch

from atesc_core.distillation.events import LabelTried
from atesc_core.errors import StoreError
from atesc_core.runs import worker
from atesc_core.runs.log import RunLog
from atesc_core.runs.session import Session
from atesc_core.runs.worker import work
from tests.support.damage import flip_bit
from tests.support.pages import set_status
from tests.support.waiting import until
from tests.support.workers import ScriptedWorker


@pytest.fixture
def lab(store):
    lab = ScriptedWorker(store)
    yield lab
    lab.end()


def test_a_run_that_another_version_queued_fails_and_the_line_goes_on(lab, store, spec):
    odd, fine = store.create(spec), store.create(spec)
    with store.database.write() as connection:
        connection.execute("""UPDATE runs SET spec = '{"teacher": "t", "new": 1}' WHERE id = ?""", (odd,))
    lab.script.set_free()
    lab.start()
    lab.wait(fine, "done")
    [row] = store.database.read("SELECT status, error FROM runs WHERE id = ?", odd)
    assert row["status"] == "failed"
    assert "new: 1" in row["error"]
    assert store.history(odd)["kind"].tolist() == ["created", "failed"]


def test_everything_a_run_says_is_kept(lab, store, spec):
    run_id = store.create(spec)
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "done")
    run = store.get(run_id)
    assert (run.epoch, run.round, run.images, run.metrics) == (2, 3, 192, {"iacc": 20.0, "oacc": 5.0})
    assert run.progress == 1
    assert run.device.startswith("CPU")
    assert run.finished >= run.started >= run.created
    assert list(zip(store.rounds(run_id)["epoch"], store.rounds(run_id)["round"], strict=True)) == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
        (2, 3),
    ]
    assert list(store.epochs(run_id)["iacc"]) == [10.0, 20.0]
    assert store.snapshot_epochs(run_id) == [1, 2]
    assert lab.kinds(run_id) == ["created", "started", "threshold", "done"]
    lab.thread.join(60)
    assert not lab.thread.is_alive(), "a worker with nothing to do exits"


def test_runs_go_one_at_a_time_in_the_order_they_came(lab, store, spec):
    first, second, third = (store.create(spec) for _ in range(3))
    lab.start()
    lab.wait(first, "running")
    assert [store.get(run_id).queue_position for run_id in (first, second, third)] == [None, 1, 2]
    lab.script.let(first, 6)
    lab.wait(second, "running")
    assert store.get(first).status == "done"
    assert store.get(third).queue_position == 1
    lab.script.set_free()
    lab.wait(third, "done")
    assert [run_id for run_id, _ in lab.script.opened] == [first, second, third]


def test_a_second_worker_leaves_the_device_to_the_first(lab, store, spec):
    run_id = store.create(spec)
    lab.start()
    until(lambda: lab.script.waiting)  # a run is marked as running before its first event is asked for
    work(store.runs_dir, "cpu", lab.script)  # returns at once
    assert store.get(run_id).status == "running"
    assert len(lab.script.opened) == 1


def test_a_worker_told_to_stay_waits_for_more_runs_and_ends_when_asked(lab, store, spec, monkeypatch):
    """systemd would start a worker that ends at an empty queue again and again."""
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    lab.script.free = True
    lab.start(stay=True)
    for _ in range(2):
        until(lambda: store.database.read("SELECT * FROM workers"))
        lab.wait(store.create(spec), "done")  # nobody calls ensure_worker
        assert lab.thread.is_alive()
    lab.end()


def test_a_worker_told_to_stay_takes_over_the_device_of_another(lab, store, spec, monkeypatch):
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    first = store.create(spec)
    lab.start()
    until(lambda: lab.script.waiting)
    other = ScriptedWorker(store)
    other.script.free = True
    other.start(stay=True)
    lab.script.set_free()
    lab.wait(first, "done")
    lab.thread.join(60)
    second = store.create(spec)
    other.wait(second, "done")
    assert other.script.opened == [(second, 0)]
    other.end()


def test_a_worker_told_to_stay_says_that_its_device_failed(store, spec, monkeypatch):
    """For systemd to start it again, it must not end as if all were well."""
    store.create(spec)
    monkeypatch.setattr(worker.Worker, "drive", lambda self, run: setattr(self, "device_failed", True))
    with pytest.raises(StoreError, match=r"device: CPU.* failed in this process; start the worker again"):
        work(store.runs_dir, "cpu", stay=True)


def test_a_paused_run_keeps_its_place_and_the_device_goes_on(lab, store, spec):
    first = store.create(spec)
    lab.start()
    lab.at(first, 1, 1)
    store.pause(first)
    lab.script.let(first, 1)  # the worker looks after the round it is in
    lab.wait(first, "paused")
    assert store.get(first).images_per_s is None
    second = store.create(spec)
    lab.start()
    lab.script.let(second, 6)
    lab.wait(second, "done")
    assert (store.get(first).epoch, store.get(first).round) == (1, 2)
    store.resume(first)
    lab.script.let(first, 4)
    lab.wait(first, "done")
    assert lab.script.opened == [(first, 0), (second, 0)], "the paused run was not begun again"
    assert lab.script.rounds.count((first, 1, 2)) == 1
    history = store.history(first).set_index("kind")
    assert (history.loc["paused", "epoch"], history.loc["paused", "round"]) == (1, 2)
    assert (history.loc["resumed", "epoch"], history.loc["resumed", "round"]) == (1, 2)


def test_single_steps_do_one_round_each_and_the_epochs_end_with_its_last(lab, store, spec):
    run_id = store.create(spec)
    store.step(run_id)
    lab.script.let(run_id, 100)
    lab.start()
    lab.wait(run_id, "paused")
    assert (store.get(run_id).epoch, store.get(run_id).round, len(store.epochs(run_id))) == (1, 1, 0)
    store.step(run_id)
    store.step(run_id)  # clicked twice: two rounds
    until(lambda: store.get(run_id).status == "paused" and store.get(run_id).round == 3)
    assert list(store.epochs(run_id)["epoch"]) == [1]
    assert store.snapshot_epochs(run_id) == [1]
    assert len(lab.script.rounds) == 3
    assert "resumed" not in lab.kinds(run_id)
    assert lab.kinds(run_id).count("step") >= 2
    store.resume(run_id)
    lab.wait(run_id, "done")


def stopped_in_its_second_epoch(lab, store, spec) -> str:
    """A run that was stopped at the end of round 2 of epoch 2; its worker has ended."""
    run_id = store.create(spec)
    lab.start()
    lab.at(run_id, 2, 1)
    store.stop(run_id)
    lab.script.let(run_id, 1)
    lab.wait(run_id, "stopped")
    lab.thread.join(60)
    return run_id


def test_a_stopped_run_can_be_taken_up_from_its_last_epoch(lab, store, spec):
    run_id = stopped_in_its_second_epoch(lab, store, spec)
    run = store.get(run_id)
    assert (run.epoch, run.round, run.metrics["iacc"]) == (2, 2, 10.0)
    assert run.finished is not None
    store.resume(run_id)
    assert store.get(run_id).status == "queued"
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "done")
    assert lab.script.opened == [(run_id, 0), (run_id, 1)]
    assert len(store.rounds(run_id)) == 6
    history = store.history(run_id)
    assert history[history["kind"] == "resumed"]["text"].item() == "from the end of epoch 1"


def test_a_run_is_not_taken_up_from_a_checkpoint_with_a_flipped_bit(lab, store, spec):
    run_id = stopped_in_its_second_epoch(lab, store, spec)
    flip_bit(store.checkpoint_file(run_id))
    store.resume(run_id)
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "failed")
    assert "cannot be read (it is damaged: " in store.get(run_id).error
    assert "the run's epochs and images are kept" in store.get(run_id).error
    assert lab.script.opened == [(run_id, 0)]
    assert list(store.epochs(run_id)["epoch"]) == [1]


def test_a_stopped_pause_frees_the_worker(lab, store, spec):
    run_id = store.create(spec)
    store.step(run_id)
    lab.script.let(run_id, 1)
    lab.start()
    lab.wait(run_id, "paused")
    store.stop(run_id)
    assert store.get(run_id).status == "stopped"
    lab.thread.join(60)
    assert not lab.thread.is_alive()
    store.delete(run_id)
    assert not store.folder(run_id).exists()


def test_a_threshold_changes_while_the_run_goes(lab, store, spec):
    run_id = store.create(spec)
    lab.start()
    lab.at(run_id, 1, 1)
    store.set_threshold(run_id, 2.5)
    lab.script.set_free()
    lab.wait(run_id, "done")
    change = store.history(run_id).query("kind == 'threshold'").iloc[0]
    assert (change["value"], change["text"]) == (2.5, "hand")
    steps = store.rounds(run_id)
    from_there = (steps["epoch"] - 1) * 3 + steps["round"] >= (change["epoch"] - 1) * 3 + change["round"]
    assert (steps["threshold"][from_there] == 2.5).all()
    assert steps["threshold"][~from_there].isna().all()
    assert from_there.sum() >= 4, "it took effect within two rounds"


def test_a_threshold_can_be_set_before_the_run_starts(lab, store, spec):
    run_id = store.create(spec)
    store.set_threshold(run_id, 2.5)
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "done")
    assert (store.rounds(run_id)["threshold"] == 2.5).all()


def interrupted_after_a_change(lab, store, spec) -> tuple[str, int]:
    """A run whose threshold was set by hand in its second epoch, then interrupted; the round it was set in."""
    run_id = store.create(spec.replaced({"rounds": 5}))
    lab.start()
    lab.at(run_id, 2, 1)
    store.set_threshold(run_id, 2.5)
    lab.at(run_id, 2, 3)
    lab.leave_after_a_round(run_id)
    assert store.get(run_id).status == "interrupted"
    change = store.history(run_id).query("kind == 'threshold' and text == 'hand'")
    assert change["epoch"].item() == 2
    assert change["round"].item() in (2, 3)
    # pandas 3 makes NaN of a missing text beside others, and a page told: "queued, nan"
    assert store.history(run_id)["text"].map(type).eq(str).all()
    return run_id, change["round"].item()


def test_what_was_logged_before_an_interruption_is_all_there(lab, store, spec):
    run_id, _ = interrupted_after_a_change(lab, store, spec)
    assert (store.get(run_id).epoch, store.get(run_id).round) == (2, 4)
    assert len(store.rounds(run_id)) == 9
    assert lab.kinds(run_id)[-1] == "interrupted"
    assert store.get(run_id).images_per_s is None


def test_a_resumed_run_changes_its_threshold_again_at_the_same_round(lab, store, spec):
    run_id, number = interrupted_after_a_change(lab, store, spec)
    before = store.rounds(run_id)
    lab.leaving.clear()
    store.resume(run_id)
    lab.script.let(run_id, 1)
    lab.start()
    lab.logged(run_id, 2, 1)
    lab.leave_after_a_round(run_id)  # once more before it comes to the change, or just after
    store.resume(run_id)
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "done")
    after = store.rounds(run_id)
    assert len(after) == 10
    assert list(after["threshold"][:9].fillna(0)) == list(before["threshold"].fillna(0))
    changes = store.history(run_id).query("kind == 'threshold'")
    assert [tuple(row) for row in changes[["epoch", "round", "value", "text"]].itertuples(index=False)] == [
        (2, 1, 1.5, "auto"),
        (2, number, 2.5, "hand"),
    ]


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_rewound_run_has_nothing_from_after_its_checkpoint(store, spec, epoch):
    """Later students, damaged snapshots and events stayed, and a page showed them as the run's."""
    run_id = store.create(spec.replaced({"epochs": 3, "rounds": 2}))
    log = RunLog(store, store.get(run_id))
    files = (store.snapshot_file, store.student_file, store.fork_point_file)
    for done in (1, 2, 3):
        log.write_threshold(done, 1, done / 2, "auto")
        log.write_threshold(done, 2, float(done), "hand")
        for number in (1, 2):
            log.write_round(done, number, 32 * done, {"s/total": 1.0}, 0.5, float(done))
        log.write_epoch(done, 32 * done, {"iacc": 10.0 * done})
        for file in files:
            file(run_id, done).parent.mkdir(exist_ok=True)
            file(run_id, done).write_bytes(b"cut short")
        log.note("paused")
    assert store.damaged_snapshots(run_id) == [store.snapshot_file(run_id, done) for done in (1, 2, 3)]
    replayed = log.rewind(epoch)
    left = list(range(1, epoch + 1))
    assert list(store.epochs(run_id)["epoch"]) == left
    assert list(store.rounds(run_id)["epoch"]) == sorted(2 * left)
    for file in files:
        assert [done for done in (1, 2, 3) if file(run_id, done).exists()] == left
    assert (store.get(run_id).epoch, store.get(run_id).images) == (epoch, 32 * epoch)
    history = store.history(run_id)
    assert list(history[history["kind"] == "paused"]["epoch"]) == left
    assert list(history[history["text"] == "auto"]["epoch"]) == left
    # to be set again in the same rounds, also if the run is cut off before it comes there
    assert list(history[history["text"] == "hand"]["epoch"]) == [1, 2, 3]
    assert replayed == [(done, 2, float(done)) for done in (1, 2, 3) if done > epoch]


@pytest.mark.parametrize(("epoch", "kept"), [(0, 0), (1, 1)])
def test_a_run_that_begins_anew_says_once_what_it_found_in_noise(store, spec, epoch, kept):
    log = RunLog(store, store.get(store.create(spec)))
    log.note("trap", 4, "trap found")
    log.rewind(epoch)
    assert (store.history(log.run.id)["kind"] == "trap").sum() == kept


@pytest.mark.parametrize("leaving", [False, True])
def test_a_run_halts_while_labels_of_a_trap_are_tried(store, spec, leaving):
    """Neither a pause nor the end of the worker was noticed before the first round."""
    log = RunLog(store, store.get(store.create(spec)))
    set_status(store, log.run.id, "running")
    tried = []

    def events(*_):
        for label in (8, 0):
            for step in range(3):
                if step == 1 and not leaving:
                    store.pause(log.run.id)
                tried.append((label, step))
                yield LabelTried(label, step)

    session = Session.open(log, events)
    assert session.go_on(lambda: leaving and len(tried) == 2) == ("interrupted" if leaving else "halted")
    assert tried == [(8, 0), (8, 1)]
    history = store.history(log.run.id)
    tried_note = history[history["kind"] == "trap"]
    assert list(tried_note["text"]) == ["noise leaves several labels: label 8 is tried"]
    assert tried_note["value"].isna().all(), "no trap has been found yet"


def test_a_newer_wish_goes_before_the_changes_of_an_earlier_pass(lab, store, spec):
    run_id, _ = interrupted_after_a_change(lab, store, spec)
    store.set_threshold(run_id, 3.5)
    store.resume(run_id)
    lab.script.free = True
    lab.start()
    lab.wait(run_id, "done")
    changes = store.history(run_id).query("kind == 'threshold'")
    assert [tuple(row) for row in changes[["epoch", "round", "value"]].itertuples(index=False)] == [(2, 1, 3.5)]
    assert (store.rounds(run_id).query("epoch == 2")["threshold"] == 3.5).all()


def test_an_error_ends_its_run_and_not_the_queue(lab, store, spec):
    bad, good = store.create(spec, label="fails"), store.create(spec)
    lab.script.free = True
    lab.start()
    lab.wait(good, "done")
    run = store.get(bad)
    assert (run.status, run.error) == ("failed", "RuntimeError: the device is on fire")
    assert "Traceback" in store.log_file(bad).read_text()
    assert store.history(bad).iloc[-1]["text"] == run.error


def test_a_run_of_a_dead_worker_is_interrupted_for_the_next_one(lab, store, spec):
    run_id = store.create(spec)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'running', worker = 1 WHERE id = ?", (run_id,))
    assert store.get(run_id).status == "interrupted"
    assert lab.kinds(run_id) == ["created", "interrupted"]


@pytest.mark.parametrize(
    ("wish", "status"), [("pause", "paused"), ("resume", "queued"), ("step", "queued"), ("stop", "stopped")]
)
def test_what_is_asked_while_the_worker_comes_to_rest_is_not_lost(store, spec, wish, status):
    run_id = store.create(spec)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (run_id,))
    store.pause(run_id)  # the worker sees this ...
    getattr(store, wish)(run_id)  # ... and before it stands still
    assert RunLog(store, store.get(run_id)).halt(stepping=False) == status
    assert store.get(run_id).status == status


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_named(store, spec):
    run_id = store.create(spec.replaced({"device": "cuda"}))
    work(store.runs_dir, "cuda")
    run = store.get(run_id)
    assert run.status == "failed"
    assert "cuda" in run.error
    assert "not present" in run.error
