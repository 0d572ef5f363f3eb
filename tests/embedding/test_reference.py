"""The map in a process of its own: made once, found again, and honest when it fails."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import types

import numpy as np
import pytest
from filelock import FileLock

from atesc_core import jobs
from atesc_core.embedding import ReferenceMap
from atesc_core.embedding.features import content_hash
from atesc_core.embedding.map_folder import COORDINATES, FEATURES, LOCK, MODEL, SETTINGS
from atesc_core.embedding.map_process import MAP_PROCESS
from atesc_core.embedding.worker import MapWorker
from tests.support.waiting import until


@pytest.fixture(scope="module")
def cache(tmp_path_factory, pytestconfig):
    """A fresh cache whose compiled code is kept from one test run to the next."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "numba").symlink_to(pytestconfig.cache.mkdir("numba"), target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def made(clusters, cache):
    """A map that is there, with its process still waiting for more."""
    reference = ReferenceMap.fit(*clusters, cache)
    reference.wait(timeout_s=900)
    assert reference.job.state == "done", reference.job.error
    yield reference
    MAP_PROCESS.stop()


def answer(reference, features):
    """Ask until there is an answer, as a page does."""

    def positions():
        found = reference.transform(features)
        assert reference.job is None or reference.job.state != "failed", reference.job.error
        return found if found is None else (found,)

    return until(positions, 600)[0]


@pytest.fixture
def unmade(clusters, tmp_path):
    reference = ReferenceMap(*clusters, tmp_path)
    yield reference
    if reference.job is not None:
        reference.job.stop()
        until(lambda: not reference.job.occupies_slot)


@pytest.fixture
def held(monkeypatch) -> list[str]:
    """Maps that a process was to complete; none of them goes on before it is stopped."""
    asked: list[str] = []

    def complete(folder, numba_cache, report, stop):
        asked.append(folder.path.name)
        assert stop.wait(60)

    monkeypatch.setattr(MAP_PROCESS, "complete", complete)
    return asked


def refuse(*arguments, **settings):
    raise AssertionError("computed again")


# ── what a map is ─────────────────────────────────────────────────────────────


def test_nothing_is_computed_until_asked(clusters, tmp_path):
    reference = ReferenceMap(*clusters, tmp_path)
    assert reference.job is None
    assert reference.coordinates() is None
    assert not list(tmp_path.iterdir())


def test_clusters_stay_apart(made):
    id_xy, ood_xy = made.coordinates()
    assert id_xy.shape == (100, 2)
    assert ood_xy.shape == (100, 2)
    groups = id_xy[:50], id_xy[50:], ood_xy
    centres = np.array([group.mean(0) for group in groups])
    for place, group in enumerate(groups):
        nearest = np.linalg.norm(group[:, None] - centres[None], axis=2).argmin(1)
        assert (nearest == place).mean() > 0.95


def test_points_near_a_cluster_are_placed_near_it(made, clusters):
    batch = np.concatenate([clusters[0][:10], clusters[1][:10]]) + np.float32(0.05)
    placed = answer(made, batch)
    id_xy, ood_xy = made.coordinates()
    to_id = np.linalg.norm(placed[:, None] - id_xy[None], axis=2).min(1)
    to_ood = np.linalg.norm(placed[:, None] - ood_xy[None], axis=2).min(1)
    assert (to_id[:10] < to_ood[:10]).all()
    assert (to_ood[10:] < to_id[10:]).all()


def test_the_map_stays_still_while_others_are_placed(made, clusters):
    before = np.concatenate(made.coordinates())
    answer(made, clusters[0][:7])
    assert np.array_equal(before, np.concatenate(made.coordinates()))


def test_an_empty_batch_needs_no_process(unmade):
    assert unmade.transform(np.empty((0, 12))).shape == (0, 2)
    assert unmade.job is None


def test_what_is_there_is_not_computed_again(made, clusters, cache, monkeypatch):
    batch = clusters[0][:5]
    placed = answer(made, batch)
    monkeypatch.setattr(jobs, "start_thread", refuse)
    again = ReferenceMap.fit(*clusters, cache)
    assert np.array_equal(np.concatenate(again.coordinates()), np.concatenate(made.coordinates()))
    assert np.array_equal(again.transform(batch.copy()), placed)


def test_the_process_waits_for_the_next_batch(made, clusters):
    """Its import takes tens of seconds: not again for every epoch of a live run."""
    answer(made, clusters[0][:8])
    pid = MAP_PROCESS.pid
    assert pid is not None
    answer(made, clusters[0][:9])
    assert MAP_PROCESS.pid == pid


def test_an_idle_process_ends_and_a_later_one_places_as_it_did(made, clusters, monkeypatch):
    """The model is kept: neither a restart of the app nor the process's end moves the map."""
    batch = clusters[1][:6]
    with monkeypatch.context() as patch:
        patch.setattr("atesc_core.embedding.map_process.IDLE_S", 0.1)
        placed = answer(made, batch)
        until(lambda: MAP_PROCESS.pid is None)
    (made.folder.path / made.folder.positions(content_hash(batch))).unlink()
    assert np.array_equal(answer(made, batch), placed)


def test_only_one_map_at_a_time_in_all_processes(made, clusters):
    """Whatever server started them: the lock is beside the maps."""
    until(lambda: not made.job.occupies_slot)
    batch = clusters[0][:13]
    with FileLock(made.folder.path.parent / LOCK):
        assert made.transform(batch) is None
        until(lambda: made.job.message == "Waiting for another map")
        assert made.transform(batch) is None
    assert answer(made, batch).shape == (13, 2)


def test_umap_gets_the_seed_and_one_thread(clusters, tmp_path, monkeypatch):
    """Without both, two fits of the same features differ. (With them they are equal to the bit.)"""
    given = {}

    class Recorder:
        embedding_ = np.zeros((200, 2))

        def __init__(self, **settings):
            given.update(settings)

        def fit(self, features):
            given["features"] = features
            return self

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Recorder))
    monkeypatch.setattr("atesc_core.embedding.worker.pickle.dumps", lambda _: b"")
    reference = ReferenceMap(*clusters, tmp_path, seed=7)
    reference.folder.write(SETTINGS, json.dumps(reference.settings))
    reference.folder.write(FEATURES, np.concatenate(clusters))
    MapWorker().complete(reference.folder.path)
    assert (given["random_state"], given["transform_seed"], given["n_jobs"]) == (7, 7, 1)
    assert np.array_equal(given["features"], np.concatenate(clusters))
    assert reference.coordinates() is not None


@pytest.mark.parametrize("damaged", ["timings.json", MODEL, SETTINGS, FEATURES])
def test_a_damaged_file_of_a_map_is_made_again(clusters, tmp_path, monkeypatch, damaged):
    """The job failed at it, and would have failed until somebody emptied the cache."""

    class Map:
        embedding_ = np.zeros((200, 2))

        def __init__(self, **settings):
            pass

        def fit(self, features):
            return self

        def transform(self, features):
            return np.ones((len(features), 2))

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Map))
    monkeypatch.setattr("atesc_core.embedding.worker.pickle.dumps", lambda _: b"N.")  # of None
    reference = ReferenceMap(*clusters, tmp_path)
    monkeypatch.setattr("atesc_core.jobs.start_thread", lambda *_, **__: MapWorker().complete(reference.folder.path))
    reference.restart()
    file = (reference.folder.path.parent if damaged == "timings.json" else reference.folder.path) / damaged
    assert file.exists()
    file.write_bytes(b"{")
    if damaged in (SETTINGS, FEATURES):
        (reference.folder.path / COORDINATES).unlink()
        (reference.folder.path / MODEL).unlink()
        with pytest.raises(FileNotFoundError, match=r"settings\.json was damaged" if damaged == SETTINGS else FEATURES):
            reference.restart()
    assert reference.transform(clusters[0]) is None
    reference.restart()
    assert reference.transform(clusters[0]).tolist() == [[1, 1]] * 100
    assert not file.exists() or file.read_bytes() != b"{"


def test_features_are_left_as_they_were(clusters, tmp_path):
    kept = [part.copy() for part in clusters]
    ReferenceMap(*clusters, tmp_path)
    assert all(np.array_equal(*pair) for pair in zip(kept, clusters, strict=True))


@pytest.mark.parametrize(
    ("id_features", "ood_features", "said"),
    [
        (np.zeros((20, 3)), np.zeros((20, 4)), r"OOD features: shape \(20, 4\); expected \(N, 3\)"),
        (np.full((20, 3), np.inf), np.zeros((20, 3)), "ID features: 20 of 20 rows are not finite"),
        (np.zeros((4, 3)), np.zeros((4, 3)), "8 images; expected at least 10"),
    ],
)
def test_unusable_features_are_named(tmp_path, id_features, ood_features, said):
    with pytest.raises(ValueError, match=said):
        ReferenceMap(id_features, ood_features, tmp_path)


# ── one job, for everyone ─────────────────────────────────────────────────────


def test_many_visitors_start_one_job(unmade, held):
    threads = [threading.Thread(target=unmade.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: held)
    assert held == [unmade.key]
    assert unmade.job.state == "running"


def test_a_killed_process_shows_as_failed_and_is_not_restarted_by_polling(unmade, monkeypatch):
    unmade.start()
    os.kill(until(lambda: MAP_PROCESS.pid), signal.SIGKILL)
    unmade.wait(60)
    assert unmade.job.state == "failed"
    assert unmade.job.error
    monkeypatch.setattr(jobs, "start_thread", refuse)
    unmade.start()
    assert unmade.transform(unmade.id[:5]) is None
    assert unmade.job.state == "failed"


def test_a_stopped_map_is_computed_again_only_when_that_is_asked_for(unmade, held):
    unmade.start()
    until(lambda: held)
    unmade.job.stop()
    assert unmade.job.state == "stopped"
    assert unmade.transform(unmade.id[:5]) is None
    assert unmade.start().state == "stopped"
    assert unmade.restart().active


def test_a_stop_ends_the_process(unmade):
    unmade.start()
    until(lambda: MAP_PROCESS.pid)
    unmade.job.stop()
    assert MAP_PROCESS.pid is None
    assert unmade.job.state == "stopped"


def test_an_error_in_the_process_is_told(unmade, caplog):
    unmade.folder.write(SETTINGS, "{")
    with caplog.at_level(logging.WARNING):
        unmade.start()
        unmade.wait()
    assert unmade.job.state == "failed"
    assert "JSONDecodeError" in unmade.job.error
    assert "worker.py" in caplog.text  # the traceback of that process


def test_waiting_ends(unmade, held):
    unmade.start()
    with pytest.raises(TimeoutError, match="after 0.1 s"):
        unmade.wait(timeout_s=0.1)


def test_a_reader_never_meets_half_a_file(unmade):
    unmade.folder.write(COORDINATES, np.zeros((200, 2), np.float32))
    names = {path.name for path in unmade.folder.path.iterdir()}
    assert names == {"reference.xy.npz"}
    assert unmade.coordinates()[1].shape == (100, 2)
