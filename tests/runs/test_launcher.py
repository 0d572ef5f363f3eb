"""A queued run always has a worker, and a device never has two."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest

from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, ensure_worker, launcher
from atesc_core.runs.worker import work
from tests.support.disks import fill_disk, read_only_copy
from tests.support.tiny_runs import ScriptedRun
from tests.support.waiting import until


@pytest.fixture
def threads(monkeypatch):
    """Workers as threads of this process, so that they start at once; those started so far."""
    started: list[threading.Thread] = []
    script = ScriptedRun()
    script.free = True

    def spawn(runs_dir, requested):
        thread = threading.Thread(target=work, args=(runs_dir, requested, script))
        thread.start()
        started.append(thread)
        return SimpleNamespace(pid=psutil.Process().pid)

    monkeypatch.setattr(launcher, "_spawn", spawn)
    yield started
    for thread in started:
        thread.join(60)
        assert not thread.is_alive()


def test_nothing_to_do_starts_nothing(store, threads):
    ensure_worker(store.runs_dir)
    assert threads == []


def test_asking_often_starts_one_worker(store, spec, threads):
    store.create(spec)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ensure_worker(store.runs_dir), range(16)))
    until(lambda: store.distillations()[0].status == "done")
    assert len(threads) == 1


def test_a_run_queued_just_as_the_worker_leaves_is_not_forgotten(store, spec, threads):
    """Each run is queued when the last one is done, which is when the worker is about to leave."""
    for _ in range(40):
        run_id = store.create(spec.replaced({"epochs": 1, "rounds": 1}))
        ensure_worker(store.runs_dir)  # once: nobody looks again
        until(lambda run_id=run_id: store.get(run_id).status == "done", at_most_s=30)
    assert [run.status for run in store.distillations()] == ["done"] * 40


def test_many_visitors_queue_runs_at_once(store, spec, threads):
    def visit(_: int) -> str:
        own = RunStore(store.runs_dir)
        run_id = own.create(spec.replaced({"epochs": 1, "rounds": 1}))
        ensure_worker(store.runs_dir)
        own.close()
        return run_id

    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(visit, range(24)))
    until(lambda: all(store.get(run_id).status == "done" for run_id in ids))
    assert all(list(store.history(run_id)["kind"]).count("started") == 1 for run_id in ids)


def test_a_worker_that_cannot_start_is_reported(store, spec, monkeypatch):
    monkeypatch.setattr(launcher, "RETRY_S", 0)
    monkeypatch.setattr(launcher, "TOGETHER_S", 0)

    def spawn(runs_dir, requested):
        with launcher.log_file(runs_dir).open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", "raise SystemExit('torch is broken')"], stderr=log)
        process.wait()
        return process

    monkeypatch.setattr(launcher, "_spawn", spawn)
    run_id = store.create(spec)
    for _ in range(launcher.ATTEMPTS):
        ensure_worker(store.runs_dir)
        assert store.get(run_id).status == "queued"
    ensure_worker(store.runs_dir)
    assert store.get(run_id).status == "failed"
    assert "torch is broken" in store.get(run_id).error


def test_a_worker_that_is_starting_is_waited_for(store, spec, monkeypatch):
    monkeypatch.setattr(launcher, "RETRY_S", 0)
    calls = []

    def spawn(runs_dir, requested):
        calls.append(requested)
        return SimpleNamespace(pid=psutil.Process().pid)  # alive, and not yet at its lock

    monkeypatch.setattr(launcher, "_spawn", spawn)
    store.create(spec)
    for _ in range(5):
        ensure_worker(store.runs_dir)
    assert calls == ["cpu"]


def test_a_start_that_cannot_be_noted_is_not_made(store, spec, processes, monkeypatch):
    """On a full disk each call, every two seconds, started another process."""
    store.create(spec)
    fill_disk(monkeypatch, store.runs_dir)
    for _ in range(3):
        with pytest.raises(StoreError, match="the disk is full"):
            ensure_worker(store.runs_dir)
    assert processes == []


def test_a_process_that_cannot_be_started_leaves_no_note(store, spec, processes, monkeypatch):
    """The note would say for two minutes that a worker starts."""

    def refuse(runs_dir, requested):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    store.create(spec)
    with monkeypatch.context() as patch:
        patch.setattr(launcher, "_spawn", refuse)
        with pytest.raises(StoreError, match=r"no process can be started \(Resource temporarily unavailable\)"):
            ensure_worker(store.runs_dir)
    ensure_worker(store.runs_dir)
    assert processes == ["cpu"]


def test_nothing_starts_in_a_folder_that_cannot_be_written(store, spec, processes, tmp_path, monkeypatch):
    store.create(spec)
    ensure_worker(read_only_copy(monkeypatch, store, tmp_path / "copy"))
    assert processes == []


def test_workers_that_fail_together_count_as_one_attempt(store, spec, processes, monkeypatch):
    """Three that were started at once and found no memory failed the whole queue."""
    run_id = store.create(spec)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with store.database.write() as connection:
        for _ in range(launcher.ATTEMPTS):
            row = ("cpu", dead.pid, time.time() - 60)
            connection.execute("INSERT INTO starting (requested_device, pid, time) VALUES (?, ?, ?)", row)
    ensure_worker(store.runs_dir)
    assert processes == ["cpu"]
    assert store.get(run_id).status == "queued"
