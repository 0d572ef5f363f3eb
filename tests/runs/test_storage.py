"""Bounds on what is stored and queued, and making room."""

from __future__ import annotations

import numpy as np
import pytest

from atesc_core.errors import LimitError, RunBusyError
from atesc_core.runs import RunStore, storage
from tests.support.labs import archive_of, logged_run, tiny_spec


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "lab")


@pytest.fixture
def ended(store):
    """A run of five epochs, whose files have sizes that differ by kind."""
    run_id = logged_run(store, *[(50.0, 50.0)] * 5)
    for name, suffix, size in (("snapshots", "npz", 1000), ("students", "safetensors", 100), ("fork_points", "pt", 10)):
        (store.folder(run_id) / name).mkdir()
        for epoch in (1, 2, 3, 4, 10):
            (store.folder(run_id) / name / f"{epoch}.{suffix}").write_bytes(
                archive_of(size) if suffix == "npz" else bytes(size)
            )
    store.checkpoint_file(run_id).write_bytes(bytes(7))
    return run_id


def test_sizes_by_kind(store, ended):
    spec = (store.folder(ended) / "spec.yaml").stat().st_size
    assert store.size(ended) == storage.RunSize(images=5000, students=500, fork_points=50, needed=7 + spec)
    assert store.size(ended).total == 5557 + spec == storage.folder_size(store.folder(ended))
    assert storage.folder_size(store.runs_dir / "none") == 0


def test_a_thinned_run_keeps_its_curves_its_first_and_its_last_epoch(store, ended):
    curves = store.epochs(ended)
    assert store.thin(ended) == 3 * 1100 + 5 * 10
    assert store.snapshot_epochs(ended) == [1, 10]
    assert list(store.student_files(ended)) == [1, 10]
    assert store.fork_points(ended) == []
    assert store.checkpoint_file(ended).exists()
    np.testing.assert_array_equal(store.epochs(ended)["iacc"], curves["iacc"])
    last = store.history(ended).iloc[-1]
    assert (last["kind"], last["value"]) == ("thinned", 3350)
    assert store.thin(ended) == 0
    assert list(store.history(ended)["kind"]).count("thinned") == 1


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_a_run_that_may_go_on_is_not_thinned(store, ended, status):
    with pytest.raises(RunBusyError, match=f"is {status}"):
        storage.thin(store.folder(ended), status)
    assert len(store.snapshot_epochs(ended)) == 5


def test_only_so_many_runs_wait(store, monkeypatch):
    monkeypatch.setenv("ATESC_MAX_QUEUED_RUNS", "2")
    first, _ = store.create(tiny_spec()), store.create(tiny_spec())
    with pytest.raises(LimitError, match="2 runs wait already; at most 2 may"):
        store.create(tiny_spec())
    assert len(list((store.runs_dir / "runs").iterdir())) == 2
    store.stop(first)
    store.create(tiny_spec())


def test_a_full_folder_takes_no_run(store, ended, monkeypatch):
    monkeypatch.setenv("ATESC_MAX_RUNS_GB", "0.000004")
    with pytest.raises(
        LimitError, match=r"0.00 GB without its cache; at most 4e-06 are allowed.*Make room on the page Storage"
    ):
        store.create(tiny_spec())
    monkeypatch.setenv("ATESC_MAX_RUNS_GB", "1")
    store.create(tiny_spec())


def test_a_full_disk_takes_no_run(store, monkeypatch):
    monkeypatch.setattr(storage, "free_bytes", lambda folder: 499_999_999)
    with pytest.raises(LimitError, match="0.50 GB are free"):
        store.create(tiny_spec())


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan"])
def test_a_bound_is_a_number(store, monkeypatch, text):
    monkeypatch.setenv("ATESC_MAX_RUNS_GB", text)
    with pytest.raises(LimitError, match="expected a number above 0"):
        store.create(tiny_spec())
