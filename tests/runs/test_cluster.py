"""Runs on a Ray cluster: the same numbers as without it, when a node is lost, or the process that asked, and requests.

The nodes are processes of this machine.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from ray._raylet import Config
from ray.cluster_utils import Cluster as Nodes
from safetensors.torch import load_file
from typer.testing import CliRunner

from atesc_core import cli, study
from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, launcher
from atesc_core.runs.cluster import Cluster, ClusterRuns, Needs, NodeRun
from atesc_core.runs.log import RunLog
from atesc_core.runs.worker import run_events
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.study import PlannedRun, Study
from tests.support.commands import command
from tests.support.study_rows import STUDY_SETTINGS
from tests.support.tiny_runs import TINY, save_tiny_teacher
from tests.support.waiting import until
from tests.support.workers import WorkerThread

MEMORY = {"object_store_memory": 80_000_000}
LONG = TINY.replaced({"rounds": 30})


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster whose head computes nothing: the tests add nodes that do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")  # its ports are open to the network while the tests run
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        Config.initialize("")  # reads them again
        cluster = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, **MEMORY})
        yield cluster
        cluster.shutdown()


@pytest.fixture(autouse=True)
def own_teacher(store: RunStore) -> None:
    save_tiny_teacher(store.runs_dir)


def logged(store: RunStore, run_id: str) -> list[Any]:
    """All that a run made, without the times of day."""
    frames = [frame.drop(columns="time").to_csv() for frame in (store.rounds(run_id), store.epochs(run_id))]
    images = [store.snapshot(run_id, epoch).images.tobytes() for epoch in store.snapshot_epochs(run_id)]
    students = [load_file(path) for path in store.student_files(run_id).values()]
    return [frames, images, [{name: values.tolist() for name, values in student.items()} for student in students]]


def alone(store: RunStore, spec: RunSpec) -> list[Any]:
    """All that the run makes in an ordinary worker."""
    run_id, worker = store.create(spec), WorkerThread(store, run_events)
    worker.start()
    worker.wait(run_id, "done")
    worker.end()
    return logged(store, run_id)


def kill(node: Any) -> None:
    """End all processes of a node at once."""
    [raylet] = node.all_processes["raylet"]
    process = psutil.Process(raylet.process.pid)
    for each in [*process.children(recursive=True), process]:
        each.kill()


def test_a_run_goes_on_elsewhere_when_its_node_dies_and_obeys_requests_on_both(store, nodes):
    first = nodes.add_node(num_cpus=1, **MEMORY)
    with Cluster(nodes.address) as cluster, ClusterRuns(store, cluster) as runs:
        group = runs.create_group([LONG])
        [run] = store.group(group).runs
        until(lambda: store.get(run.id).round >= 1)
        store.pause(run.id)
        until(lambda: store.get(run.id).status == "paused")
        paused = store.get(run.id)
        assert paused.epoch == 1
        assert paused.round < LONG.rounds
        assert paused.build["PyTorch"] == torch.__version__
        store.set_threshold(run.id, 9.5)
        store.resume(run.id)
        until(lambda: store.get(run.id).epoch == 2)
        kill(first)
        until(lambda: store.get(run.id).status == "queued")
        assert list(store.epochs(run.id)["epoch"]) == [1]
        second = nodes.add_node(num_cpus=1, **MEMORY)
        until(lambda: store.get(run.id).status not in ("queued", "running"))
    assert store.get(run.id).status == "done", store.get(run.id).error
    history = store.history(run.id)
    kinds = ["created", "started", "paused", "resumed", "threshold", "resumed", "done"]
    assert [kind for kind in history["kind"] if kind != "interrupted"] == kinds
    assert list(history["text"])[-2] == "from the end of epoch 1: its node was lost"
    again = store.reproducing_spec(store.get_distillation(run.id))
    assert logged(store, run.id) == alone(store, again)
    nodes.remove_node(first, allow_graceful=False)
    nodes.remove_node(second, allow_graceful=False)


def test_a_study_runs_on_a_cluster(tmp_path, nodes, monkeypatch):
    spec = from_preset("quick", "mnistm-fashion-ntl", **STUDY_SETTINGS)
    monkeypatch.setitem(
        study.STUDIES, "offline", Study(lambda _: [PlannedRun("mnistm-fashion", "NTL", "plain", spec)], 1)
    )
    node = nodes.add_node(num_cpus=1, **MEMORY)
    words = ["study", "offline", "--rows", str(tmp_path / "rows.jsonl"), "--on", "ray", "--address", nodes.address]
    result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert result.exit_code == 0
    [row] = study.read_rows(tmp_path / "rows.jsonl").values()
    [expected] = study.run_and_measure([spec])
    assert row | {"seconds": 0} == expected | {"seconds": 0}
    nodes.remove_node(node)


def test_when_the_process_that_asked_ends_its_runs_are_interrupted_and_a_worker_resumes_them(store, nodes):
    """No node has a processor: the run waits, and no worker of this machine takes it."""
    words = ("sweep", "tiny", "--vary", "seed=0", "--set", "epochs=1", "--set", "rounds=1", "--set", "device=cpu")
    process = command(*words, "--runs-dir", store.runs_dir, "--on", "ray", "--address", nodes.address)
    [run] = until(store.distillations)
    worker = WorkerThread(store, run_events)
    worker.start()
    worker.thread.join(60)
    assert store.get(run.id).status == "queued"
    store.pause(run.id)
    store.resume(run.id)
    assert store.get(run.id).status == "queued"
    process.kill()
    process.communicate()
    until(lambda: store.get(run.id).status == "interrupted")
    store.resume(run.id)
    worker.start()
    worker.wait(run.id, "done")


def test_a_waiting_run_can_be_stopped_and_the_end_interrupts_the_others(store, nodes):
    with Cluster(nodes.address) as cluster, ClusterRuns(store, cluster) as runs:
        group = runs.create_group([TINY, TINY.replaced({"seed": 1})])
        stopped, waiting = (run.id for run in store.group(group).runs)
        store.stop(stopped)
    assert [store.get(run_id).status for run_id in (stopped, waiting)] == ["stopped", "interrupted"]


def test_a_run_waits_for_a_node_that_joins_and_takes_no_more_than_it_has(store, nodes):
    """It asked for all its threads once, on the nodes of that moment, and waited for ever."""
    spec = TINY.replaced({"epochs": 1, "rounds": 1, "threads": 4})
    with Cluster(nodes.address) as cluster, ClusterRuns(store, cluster) as runs:
        assert cluster.needs(spec) is None
        [run] = store.group(runs.create_group([spec])).runs
        assert run.queue_position == 0
        with pytest.raises(ValueError, match="waits for a node of Ray, which chooses the order"):
            store.move_first(run.id)
        node = nodes.add_node(num_cpus=2, **MEMORY)
        until(lambda: cluster.needs(spec) == Needs(2, 0.0))
        until(lambda: store.get(run.id).status == "done")
    nodes.remove_node(node)


def test_runs_that_wait_for_ray_start_no_worker_and_take_no_place_of_others(store, spec, monkeypatch):
    """A worker for the device "ray" was started three times, and then the runs failed."""
    run_id = store.create(spec)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET requested_device = 'ray'")
    monkeypatch.setattr(launcher, "_spawn", None)
    launcher.ensure_worker(store.runs_dir)
    assert store.get(run_id).status == "queued"
    monkeypatch.setenv("ATESC_MAX_QUEUED_RUNS", "1")
    assert store.get(store.create(spec)).queue_position == 1


def test_an_error_that_a_run_cannot_note_reaches_whoever_waits_for_it(store, monkeypatch):
    """The run stayed "running" for ever, and the command with it."""

    def fail(*_: object) -> None:
        raise StoreError("disk: it is full")

    run_id = store.create(TINY)
    runs = ClusterRuns(store, SimpleNamespace(lost=(), end=lambda _: None, place=fail))
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET requested_device = 'ray', worker = ?", (runs.number,))
    monkeypatch.setattr(RunLog, "fail", fail)
    with runs:
        runs._compute(run_id)
        with pytest.raises(StoreError, match="it is full"):
            runs.check()
    assert store.get(run_id).status == "interrupted"


def test_a_checkout_that_its_own_rows_have_changed_is_the_same_lab(monkeypatch):
    """The first row of a study made every later run fail."""
    monkeypatch.setattr("atesc_core.runs.cluster.lab_version", lambda: "0.2.0+abc.dirty")
    assert NodeRun().facts("cpu", "0.2.0+abc")[1]["PyTorch"] == torch.__version__
    with pytest.raises(ValueError, match="has lab 0.2.0\\+abc; expected 0.2.0\\+def"):
        NodeRun().facts("cpu", "0.2.0+def")


def test_no_gpu_no_address_and_no_ray_are_said_in_a_sentence(store, nodes, monkeypatch):
    with Cluster(nodes.address) as cluster, pytest.raises(ValueError, match="no node of the cluster has a GPU"):
        cluster.check([TINY.replaced({"device": "cuda"})])
    with pytest.raises(ValueError, match="address: '127.0.0.1:1': no Ray cluster"):
        Cluster("127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="pip install 'atesc-lab\\[cluster\\]'"):
        Cluster()
