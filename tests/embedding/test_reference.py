"""The map in a process of its own: made once, found again, and honest when it fails."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import psutil
import pytest

from atesc_core.embedding import ReferenceMap, Status, reference
from atesc_core.embedding.reference import Told
from atesc_core.embedding.worker import Worker


@pytest.fixture(scope="module")
def cache(tmp_path_factory, pytestconfig):
    """A fresh cache whose compiled code is kept from one test run to the next."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "numba").symlink_to(pytestconfig.cache.mkdir("numba"), target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def made(clusters, cache):
    """A map that is there, with its process still waiting for more."""
    found = ReferenceMap.fit(*clusters, cache)
    assert found.wait(timeout_s=900) == Status("done", "Ready", 1.0, 0.0)
    yield found
    end(found)


def end(asked):
    """Kill the map's process, as a shutdown of the machine would."""
    if asked.folder.alive():
        process = psutil.Process(asked.folder.told().pid)
        process.kill()
        process.wait(10)


def answer(asked, features):
    """Ask until there is an answer, as a page does."""
    deadline = time.monotonic() + 600
    while (found := asked.transform(features)) is None:
        assert asked.status(features).state != "failed", asked.status(features).message
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def sleeper(job, numba_cache):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.fixture
def unmade(clusters, tmp_path):
    asked = ReferenceMap(*clusters, tmp_path)
    yield asked
    end(asked)


# ── what a map is ─────────────────────────────────────────────────────────────


def test_nothing_is_computed_until_asked(clusters, tmp_path):
    asked = ReferenceMap(*clusters, tmp_path)
    assert asked.status().state == asked.status(clusters[0]).state == "absent"
    assert asked.coordinates() is None
    assert not list(tmp_path.iterdir())


def test_clusters_stay_apart(made):
    id_xy, ood_xy = made.coordinates()
    assert id_xy.shape == (100, 2) and ood_xy.shape == (100, 2)
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
    assert (to_id[:10] < to_ood[:10]).all() and (to_ood[10:] < to_id[10:]).all()


def test_the_map_stays_still_while_others_are_placed(made, clusters):
    before = np.concatenate(made.coordinates())
    answer(made, clusters[0][:7])
    assert np.array_equal(before, np.concatenate(made.coordinates()))


def test_an_empty_batch_needs_no_process(unmade):
    assert unmade.transform(np.empty((0, 12))).shape == (0, 2)
    assert unmade.status().state == "absent"


def test_what_is_there_is_not_computed_again(made, clusters, cache, monkeypatch):
    batch = clusters[0][:5]
    placed = answer(made, batch)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(reference, "_launch", refuse)
    again = ReferenceMap.fit(*clusters, cache)
    assert np.array_equal(np.concatenate(again.coordinates()), np.concatenate(made.coordinates()))
    assert np.array_equal(again.transform(batch.copy()), placed)


def test_a_later_process_places_as_the_first_did(made, clusters):
    """The model is kept: neither a restart of the app nor the process's end moves the map."""
    batch = clusters[1][:6]
    placed = answer(made, batch)
    while made.folder.told().state != "done":
        time.sleep(0.05)
    end(made)
    next((made.folder.path / "placed").glob(f"{reference.content_hash(batch)}.npy")).unlink()
    assert np.array_equal(answer(made, batch), placed)


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
    asked = ReferenceMap(*clusters, tmp_path, seed=7)
    asked.folder.write("job.json", json.dumps(asked.settings))
    asked.folder.write("reference.npy", np.concatenate(clusters))
    Worker(asked.folder.path)._fit()
    assert (given["random_state"], given["transform_seed"], given["n_jobs"]) == (7, 7, 1)
    assert np.array_equal(given["features"], np.concatenate(clusters))
    assert asked.status().state == "done"


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


# ── who works, and what is said ───────────────────────────────────────────────


def test_many_visitors_start_one_process(unmade, monkeypatch):
    started = []

    def launch(*where):
        started.append(sleeper(*where))
        return started[-1]

    monkeypatch.setattr(reference, "_launch", launch)
    threads = [threading.Thread(target=unmade.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1 and unmade.status().state == "queued"


def test_a_killed_process_shows_as_failed_and_is_not_restarted_by_polling(unmade, monkeypatch):
    monkeypatch.setattr(reference, "_launch", sleeper)
    unmade.start()
    os.kill(unmade.folder.told().pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(unmade.folder.told().pid)], timeout=10)
    assert unmade.status().state == "failed"

    def refuse(*_):
        raise AssertionError("restarted")

    monkeypatch.setattr(reference, "_launch", refuse)
    unmade.start()
    assert unmade.transform(unmade.id[:5]) is None
    assert unmade.status(unmade.id[:5]).state == "failed"


def test_retry_asks_anew(unmade, monkeypatch):
    monkeypatch.setattr(reference, "_launch", sleeper)
    unmade.folder.tell(Told("failed", "ValueError: no"))
    assert unmade.status() == Status("failed", "ValueError: no")
    unmade.retry()
    assert unmade.status().state == "queued" and unmade.folder.alive()


def test_a_stopped_map_can_be_asked_for_again(unmade, monkeypatch):
    monkeypatch.setattr(reference, "_launch", sleeper)
    unmade.start()
    unmade.stop()
    assert not unmade.folder.alive()
    assert unmade.status().state == "absent"
    unmade.start()
    assert unmade.folder.alive()


def test_an_error_in_the_process_is_told(unmade):
    unmade.folder.write("job.json", "{")
    unmade.start()
    status = unmade.wait()
    assert status.state == "failed" and "JSONDecodeError" in status.message
    assert "Traceback" in (unmade.folder.path / "log.txt").read_text()


def test_progress_is_by_the_time_it_is_thought_to_take():
    told = Told("running", "Fitting", since=100.0, expected_s=20.0)
    assert told.seen(105.0) == Status("running", "Fitting", 0.25, 15.0)
    assert told.seen(500.0) == Status("running", "Fitting", 0.95, None)
    assert Told("running", "Fitting", since=100.0).seen(105.0) == Status("running", "Fitting")


def test_a_number_given_to_another_process_is_not_the_worker(unmade):
    unmade.folder.tell(Told("running", "Fitting", pid=os.getpid(), born=1.0))
    assert not unmade.folder.alive() and unmade.status().state == "failed"


def test_waiting_ends(unmade, monkeypatch):
    monkeypatch.setattr(reference, "_launch", sleeper)
    unmade.start()
    with pytest.raises(TimeoutError, match="after 0.1 s"):
        unmade.wait(timeout_s=0.1)


def test_a_reader_never_meets_half_a_file(unmade):
    unmade.folder.write("reference.xy.npy", np.zeros((200, 2), np.float32))
    names = {path.name for path in unmade.folder.path.iterdir()}
    assert names == {"reference.xy.npy"}
    assert unmade.coordinates()[1].shape == (100, 2)
