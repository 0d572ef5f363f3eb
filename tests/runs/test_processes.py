"""Real workers, running the real loop, in processes that get killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from atesc_core.paths import IMPORT_ROOT as ROOT
from atesc_core.runs import ensure_worker
from atesc_core.specs.teacher import TeacherSpec
from atesc_core.teachers.zoo import load_teacher
from tests.support.tiny_runs import save_tiny_teacher
from tests.support.waiting import until
from tests.support.workers import workers

pytestmark = pytest.mark.usefixtures("no_worker_is_left")
APP = """
import sys
from atesc_core.runs import RunStore, ensure_worker
from atesc_core.specs.run import RunSpec
store = RunStore(sys.argv[1])
print(store.create(RunSpec.from_yaml(sys.stdin.readline().strip().encode().decode("unicode_escape"))), flush=True)
ensure_worker(sys.argv[1])
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def teacher(store):
    save_tiny_teacher(store.runs_dir)


def finished(store, run_id):
    def over():
        run = store.get(run_id)
        assert run.status != "failed", run.error
        return run.status == "done"

    until(over)


def test_a_killed_worker_loses_nothing_and_its_run_resumes_to_the_same_result(store, spec):
    spec = spec.replaced({"epochs": 3, "rounds": 6})
    run_id = store.create(spec)
    ensure_worker(store.runs_dir)
    until(lambda: (store.get(run_id).epoch, store.get(run_id).round) >= (2, 2))
    [process] = workers(store)
    process.send_signal(signal.SIGKILL)
    process.wait(60)

    run, epochs, steps = store.get(run_id), store.epochs(run_id), store.rounds(run_id)
    assert run.status == "interrupted"
    assert run.epoch >= 2
    assert list(epochs["epoch"]) == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 1
    assert len(steps) == (run.epoch - 1) * 6 + run.round
    assert store.history(run_id).iloc[-1]["kind"] == "interrupted"

    store.resume(run_id)
    whole = store.create(spec)  # the same run, never interrupted
    ensure_worker(store.runs_dir)
    finished(store, run_id)
    finished(store, whole)
    for frame in ("epochs", "rounds"):
        resumed, uninterrupted = (getattr(store, frame)(each).drop(columns="time") for each in (run_id, whole))
        pd.testing.assert_frame_equal(resumed, uninterrupted, check_exact=True)
    for column in ("iacc", "oacc"):
        assert list(epochs[column]) == list(store.epochs(run_id)[column][: len(epochs)])
    states = [torch.load(store.checkpoint_file(each), weights_only=True)["state"] for each in (run_id, whole)]
    for name, value in states[0]["student"].items():
        assert torch.equal(value, states[1]["student"][name]), name
    assert store.get(run_id).metrics == store.get(whole).metrics
    assert store.snapshot_epochs(run_id) == [1, 2, 3] == list(store.student_files(run_id))
    for epoch, path in store.student_files(run_id).items():
        kept, same = load_file(path), load_file(store.student_files(whole)[epoch])
        assert all(torch.equal(kept[name], same[name]) for name in kept.keys() | same.keys()), epoch


def training(name: str) -> TeacherSpec:
    """Seconds an epoch on 1 500 small digits."""
    return TeacherSpec(
        name=name, pair="close digits mnist", kind="NTL", image_side=8, epochs=4, batch_size=32, device="cpu"
    )


def test_a_training_killed_and_resumed_makes_the_same_teacher_and_waits_in_the_same_line(store, spec):
    killed, student = store.create(training("killed")), store.create(spec)
    ensure_worker(store.runs_dir)
    until(lambda: (store.get(killed).epoch, store.get(killed).round) >= (2, 3))
    assert (store.get(student).status, store.get(student).queue_position) == ("queued", 1)
    [process] = workers(store)
    process.send_signal(signal.SIGKILL)
    process.wait(60)

    run, epochs, steps = store.get(killed), store.epochs(killed), store.rounds(killed)
    assert run.status == "interrupted"
    assert list(epochs["epoch"]) == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 1
    assert len(steps) == (run.epoch - 1) * run.rounds + run.round
    assert not (store.runs_dir / "teachers" / "killed.json").exists()

    store.resume(killed)
    whole = store.create(training("whole"))
    ensure_worker(store.runs_dir)
    finished(store, whole)
    for run_id in (killed, student):
        assert store.get(run_id).status == "done", store.get(run_id).error
    for frame in ("epochs", "rounds"):
        resumed, uninterrupted = (getattr(store, frame)(each).drop(columns="time") for each in (killed, whole))
        pd.testing.assert_frame_equal(resumed, uninterrupted, check_exact=True)
    for column in ("iacc", "oacc"):
        assert list(epochs[column]) == list(store.epochs(killed)[column][: len(epochs)])
    teachers = store.runs_dir / "teachers"
    assert (teachers / "killed.safetensors").read_bytes() == (teachers / "whole.safetensors").read_bytes()
    resumed, uninterrupted = (load_teacher(name, store.runs_dir).card.metrics for name in ("killed", "whole"))
    assert resumed == uninterrupted


def test_a_training_is_paused_stepped_resumed_and_stopped(store):
    run_id = store.create(training("mine").replaced({"epochs": 1000}))
    ensure_worker(store.runs_dir)
    until(lambda: store.get(run_id).epoch >= 1)
    store.pause(run_id)
    until(lambda: store.get(run_id).status == "paused")
    at = store.get(run_id)
    store.step(run_id)
    until(lambda: store.get(run_id).status == "paused" and store.get(run_id).images > at.images)
    assert len(store.rounds(run_id)) == len(
        {*zip(store.rounds(run_id)["epoch"], store.rounds(run_id)["round"], strict=True)}
    )
    store.resume(run_id)
    until(lambda: store.get(run_id).epoch > at.epoch + 1)
    store.stop(run_id)
    until(lambda: store.get(run_id).status == "stopped")
    assert not (store.runs_dir / "teachers" / "mine.json").exists()


def test_a_run_outlives_the_app_that_started_it(store, spec):
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(store.runs_dir)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    app.stdin.write(spec.to_yaml().encode("unicode_escape").decode() + "\n")
    app.stdin.flush()
    run_id = app.stdout.readline().strip()
    assert app.stdout.readline().strip() == "started"
    os.killpg(app.pid, signal.SIGKILL)
    app.communicate()
    assert store.get(run_id).status in ("queued", "running")
    finished(store, run_id)
    assert store.get(run_id).epoch == 2


def test_a_worker_asked_to_leave_leaves_its_run_in_order(store, spec):
    run_id = store.create(spec.replaced({"epochs": 1000}))
    ensure_worker(store.runs_dir)
    until(lambda: store.get(run_id).epoch >= 1)
    [process] = workers(store)
    process.terminate()
    process.wait(60)
    assert store.get(run_id).status == "interrupted"
    store.stop(run_id)


def test_a_worker_by_hand_stays_until_it_is_asked_to_leave(store, spec):
    """As a service of systemd it must not end with each empty queue."""
    command = [sys.executable, "-c", "from atesc_core.cli import main; main()", "worker", "--stay", "--device", "cpu"]
    process = subprocess.Popen([*command, "--runs-dir", str(store.runs_dir)], cwd=ROOT)
    try:
        for _ in range(2):
            finished(store, store.create(spec))
        assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
