"""Several runs at once: each on slots of its own, in the order of the queue, with the numbers of a run by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from atesc_core import device
from atesc_core.runs import ensure_worker
from atesc_core.runs.locks import gate, is_taken, take_slots
from atesc_core.runs.worker import Worker, work
from tests.support.tiny_runs import save_tiny_teacher
from tests.support.waiting import until
from tests.support.workers import ScriptedWorker, no_worker_is_left, workers  # noqa: F401

CPU = torch.device("cpu")


@pytest.fixture
def lab(store, monkeypatch):
    monkeypatch.setenv("ATESC_CPU_SLOTS", "2")
    lab = ScriptedWorker(store)
    yield lab
    lab.end()


def statuses(store, *run_ids: str) -> list[str]:
    return [store.get(run_id).status for run_id in run_ids]


def paused_run(lab, store, spec, epoch: int = 1) -> str:
    """A run that its worker keeps, paused after the second round of an epoch."""
    run_id = store.create(spec)
    lab.start()
    lab.at(run_id, epoch, 1)
    store.pause(run_id)
    lab.script.let(run_id, 1)  # the worker looks after the round it is in
    lab.wait(run_id, "paused")
    return run_id


def test_two_runs_of_one_thread_go_side_by_side_and_the_third_waits(lab, store, spec):
    first, second, third = (store.create(spec) for _ in range(3))
    for _ in range(3):
        lab.start()
    lab.wait(first, "running")
    lab.wait(second, "running")
    until(lambda: sum(thread.is_alive() for thread in lab.threads) == 2)  # the third finds no free slot, and ends
    assert store.get(third).queue_position == 1
    lab.script.let(second, 6)
    lab.wait(third, "running")
    assert statuses(store, first, second) == ["running", "done"]


def test_a_run_of_two_threads_waits_for_both_slots_and_the_next_ones_behind_it(lab, store, spec):
    first, wide, last = store.create(spec), store.create(spec.replaced({"threads": 2})), store.create(spec)
    lab.start()
    lab.wait(first, "running")
    work(store.runs_dir, "cpu", lab.script)  # finds one free slot, and the first of the queue needs two
    assert statuses(store, first, wide, last) == ["running", "queued", "queued"]
    lab.script.let(first, 6)
    lab.wait(wide, "running")
    work(store.runs_dir, "cpu", lab.script)
    assert store.get(last).status == "queued"
    lab.script.let(wide, 6)
    lab.wait(last, "running")


def test_a_run_of_more_threads_than_slots_takes_all_of_them(lab, store, spec):
    run_id = store.create(spec.replaced({"threads": 16}))
    lab.start()
    lab.wait(run_id, "running")
    with gate(store.runs_dir):
        assert [is_taken(store.runs_dir, f"slot-cpu-{core}") for core in range(2)] == [True, True]


def test_a_paused_run_goes_on_in_its_own_worker_once_a_slot_is_free(lab, store, spec, monkeypatch):
    """Another worker would begin it again from its last checkpoint."""
    monkeypatch.setenv("ATESC_CPU_SLOTS", "1")
    first = paused_run(lab, store, spec)
    second = store.create(spec)
    lab.start()
    lab.wait(second, "running")
    store.resume(first)
    third = store.create(spec)
    work(store.runs_dir, "cpu", lab.script)  # must take neither: the first is not its own, and the third comes later
    assert statuses(store, first, second, third) == ["queued", "running", "queued"]
    lab.script.let(second, 6)
    lab.wait(first, "running")
    assert lab.script.opened == [(first, 0), (second, 0)]
    lab.script.let(first, 4)
    lab.wait(first, "done")
    lab.script.let(third, 6)
    lab.wait(third, "done")
    assert lab.script.rounds.count((first, 1, 2)) == 1


def test_a_paused_run_whose_worker_has_ended_is_begun_from_its_checkpoint_by_another(lab, store, spec):
    run_id = paused_run(lab, store, spec, epoch=2)
    lab.leaving.set()
    lab.thread.join(60)
    assert store.get(run_id).status == "interrupted"
    store.resume(run_id)
    lab.start()
    lab.script.set_free()
    lab.wait(run_id, "done")
    assert lab.script.opened == [(run_id, 0), (run_id, 1)]


def test_as_many_workers_are_started_as_slots_are_free(lab, store, spec, processes, monkeypatch):
    monkeypatch.setenv("ATESC_CPU_SLOTS", "3")
    for _ in range(5):
        store.create(spec)
    ensure_worker(store.runs_dir)
    assert processes == ["cpu"], "how many slots there are, the first worker reports"
    lab.start()
    until(lambda: lab.script.opened)
    ensure_worker(store.runs_dir)
    ensure_worker(store.runs_dir)
    assert processes == ["cpu"] * 3, "one runs; two more slots are free, for four runs that wait"


def test_slots_are_counted_from_the_cores_unless_a_variable_says(monkeypatch):
    monkeypatch.delenv("ATESC_CPU_SLOTS", raising=False)
    facts = device.DeviceInfo("cpu", "CPU", 5.5, 8)
    monkeypatch.setattr(device, "describe", lambda device: facts)
    assert len(device.slots(CPU)) == 5, "one GB for each"
    monkeypatch.setattr(device, "describe", lambda device: device_of(64.0, 8))
    assert device.slots(CPU) == [f"cpu-{core}" for core in range(8)]
    monkeypatch.setenv("ATESC_CPU_SLOTS", "3")
    assert device.slots(CPU) == ["cpu-0", "cpu-1", "cpu-2"]
    monkeypatch.setenv("ATESC_CPU_SLOTS", "many")
    with pytest.raises(ValueError, match="ATESC_CPU_SLOTS: 'many': expected a whole number from 1 to 1024"):
        device.slots(CPU)


def device_of(memory_gb: float, cores: int) -> device.DeviceInfo:
    return device.DeviceInfo("cpu", "CPU", memory_gb, cores)


def test_each_gpu_has_slots_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = torch.device("cuda")
    assert device.slots(cuda) == ["cuda-0-0", "cuda-1-0"]
    monkeypatch.setenv("ATESC_GPU_SLOTS", "2")
    names = device.slots(cuda)
    assert names == ["cuda-0-0", "cuda-0-1", "cuda-1-0", "cuda-1-1"]
    assert [device.processor(name) for name in names] == ["cuda-0", "cuda-0", "cuda-1", "cuda-1"]


def test_slots_are_taken_all_or_none(tmp_path):
    names = ["cpu-0", "cpu-1"]
    with gate(tmp_path):
        taken = take_slots(tmp_path, names, 1)
        assert list(taken) == ["cpu-0"]
        assert take_slots(tmp_path, names, 2) == {}
        assert list(take_slots(tmp_path, names, 1)) == ["cpu-1"]


NUMBERS = """
import sys
from pathlib import Path
from atesc_core.distillation.loop import distill
from atesc_core.teachers.zoo import load_teacher
from tests.support.tiny_runs import TINY
for threads in (2, 1):
    spec = TINY.replaced({"threads": threads, "batch_size": 64, "synthesis.width": 32})
    for event in distill(spec, load_teacher("tiny", Path(sys.argv[1]))):
        if type(event).__name__ == "RoundDone":
            print([value.hex() for value in event.losses.values()])
        elif type(event).__name__ == "SnapshotTaken":
            print(float(event.student_probs.double().sum()).hex(), float(event.features.double().sum()).hex())
"""


def numbers(runs_dir, cores: int, omp: str | None) -> str:
    """What a run of two threads and one of one thread say, in a process of their own on this many cores."""
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_DYNAMIC")}
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    return subprocess.run(
        ["taskset", "-c", allowed, sys.executable, "-c", NUMBERS, str(runs_dir)],
        env=environment | ({} if omp is None else {"OMP_NUM_THREADS": omp}),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes are bound to cores on Linux only")
def test_the_same_spec_gives_the_same_bits_on_any_number_of_cores(tmp_path):
    """A run said other numbers with another number of threads, which was that of the machine's cores."""
    save_tiny_teacher(tmp_path)
    alone = numbers(tmp_path, cores=1, omp=None)
    assert alone.count("\n") == 2 * 8
    assert numbers(tmp_path, cores=2, omp="1") == alone
    assert numbers(tmp_path, cores=2, omp="16") == alone


def test_runs_side_by_side_have_the_numbers_of_a_run_alone(store, spec, monkeypatch, no_worker_is_left):  # noqa: F811
    """The real worker processes, two at a time: each run's rounds and epochs are those of the run that was alone."""
    save_tiny_teacher(store.runs_dir)
    alone = store.create(spec)
    work(store.runs_dir, "cpu")
    monkeypatch.setenv("ATESC_CPU_SLOTS", "2")
    together = [store.create(spec) for _ in range(3)]
    ensure_worker(store.runs_dir)
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, len(workers(store)))
        return all(store.get(run_id).status == "done" for run_id in together)

    until(all_done)
    assert most >= 2
    columns = ["epoch", "round", "images", "threshold", "fragile_share"]
    rounds = store.rounds(alone)
    losses = [name for name in rounds if "/" in name]
    for run_id in together:
        assert store.rounds(run_id)[columns + losses].equals(rounds[columns + losses])
        assert store.epochs(run_id).drop(columns="time").equals(store.epochs(alone).drop(columns="time"))


def test_a_run_that_waits_for_a_dead_worker_is_for_the_next_one_of_its_number(lab, store, spec):
    """It waited for ever: another worker had taken the number, and passed for the one that kept the run."""
    run_id = paused_run(lab, store, spec)
    with store.database.write() as connection:  # at once, so that the living worker cannot take it
        connection.execute("UPDATE runs SET status = 'queued', requested_state = 'run' WHERE id = ?", (run_id,))
        lab.leaving.set()
    lab.thread.join(60)
    assert store.get(run_id).status == "queued"
    other = ScriptedWorker(store)
    other.script.free = True
    other.start()
    other.wait(run_id, "done")
    other.end()


def test_no_worker_is_started_behind_a_run_that_its_own_worker_will_take(lab, store, spec, processes):
    """Each was started, found the first run of the queue to be another's, and ended, every two seconds."""
    wide = paused_run(lab, store, spec.replaced({"threads": 2}))
    other = store.create(spec)
    lab.start()
    lab.wait(other, "running")
    store.resume(wide)  # it needs both slots, and waits for the other run
    store.create(spec)
    ensure_worker(store.runs_dir)
    assert processes == []


def test_a_run_that_is_stopped_while_a_worker_takes_it_stays_stopped(lab, store, spec, monkeypatch):
    """The worker had read the queue before, and made it run again."""
    run_id, second = store.create(spec), store.create(spec)
    read = Worker.next_queued

    def stop_after(worker):
        row = read(worker)
        if row is not None and row["id"] == run_id:
            store.stop(run_id)
        return row

    monkeypatch.setattr(Worker, "next_queued", stop_after)
    lab.script.free = True
    lab.start()
    lab.wait(second, "done")
    assert lab.kinds(run_id) == ["created", "stopped"]


def test_slots_keep_to_the_limits_of_a_container(tmp_path, monkeypatch):
    monkeypatch.delenv("ATESC_CPU_SLOTS", raising=False)
    monkeypatch.setattr(device, "describe", lambda device: device_of(256.0, 64))
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert device._limits_of_container(tmp_path) == (2.5, float("inf"))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("4000000000\n")
    limits = device._limits_of_container(tmp_path)
    assert limits == (float("inf"), 4.0)
    monkeypatch.setattr(device, "_limits_of_container", lambda: limits)
    assert len(device.slots(CPU)) == 4
