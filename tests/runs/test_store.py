"""What the store keeps, what it refuses, and what it says."""

from __future__ import annotations

import errno
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from atesc_core.errors import RunBusyError, StoreError, TeacherError, UnknownRunError
from atesc_core.files import atomic_write
from atesc_core.runs import ClassRecalls, RunStore, Snapshot, default_runs_dir
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import TrainingRun
from atesc_core.runs.snapshots import is_whole, read_batchnorm
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import TeacherSpec
from atesc_core.teachers.cards import find_card
from tests.support.labs import logged_run
from tests.support.tiny_runs import TINY, save_tiny_teacher

TRAINING = TeacherSpec(name="mine", pair="mnistm-mnist", kind="NTL", epochs=2, device="cpu")
HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "abcdefg/",
    "abcdefgh/..",
    "ABCDEFGH",
    "abcdefgh\n",
    "abcd\x00fgh",
    "%2e%2e%2f",
    "a" * 10_000,
    "' OR 1=1 --",
    None,
    7,
]
ASKING = [
    "get",
    "epochs",
    "rounds",
    "history",
    "snapshot_epochs",
    "pause",
    "resume",
    "stop",
    "step",
    "delete",
    "folder",
]


def test_importing_the_store_is_light():
    code = "import sys, atesc_core.runs; sys.exit(any(name in sys.modules for name in ('torch', 'streamlit')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_folder_is_the_users_unless_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path))
    assert default_runs_dir() == tmp_path
    monkeypatch.delenv("ATESC_RUNS_DIR")
    assert default_runs_dir().is_absolute()


def test_a_run_comes_back_as_it_was_put_in(store, spec):
    run_id = store.create(spec, group="story", label="Plain · ε < 4")
    again = RunStore(store.runs_dir)
    run = again.get(run_id)
    assert (run.spec, run.group, run.label, run.status, run.epochs) == (spec, "story", "Plain · ε < 4", "queued", 2)
    assert (run.epoch, run.metrics, run.started, run.device, run.error) == (0, {}, None, None, None)
    assert RunSpec.from_yaml((store.folder(run_id) / "spec.yaml").read_text()) == spec
    assert list(store.history(run_id)["kind"]) == ["created"]
    again.close()


def test_runs_are_listed_newest_first(store, spec):
    first, second, third = (store.create(spec, group=group) for group in ("a", None, "a"))
    assert [run.id for run in store.distillations()] == [third, second, first]
    assert [run.id for run in store.distillations(limit=2)] == [third, second]
    assert [run.id for run in store.distillations(group="a")] == [third, first]
    assert [run.id for run in store.queue()] == [first, second, third]


def test_a_mark_changes_with_every_epoch_and_event_of_its_run_alone(store, spec):
    run_id, other = store.create(spec), store.create(spec)
    seen = [store.revisions()]
    for log in (
        lambda: RunLog(store, store.get(run_id)).write_epoch(1, 100, {"iacc": 50.0}),
        lambda: RunLog(store, store.get(run_id)).write_epoch(1, 100, {"iacc": 60.0}),  # anew, after a resumption
        lambda: store.pause(run_id),
    ):
        log()
        seen.append(store.revisions())
    assert len({marks[run_id] for marks in seen}) == 4
    assert len({marks[other] for marks in seen}) == 1
    assert store.revisions().keys() == {run_id, other}


def test_a_training_is_a_run_but_not_among_those_that_make_a_student(store, spec):
    student, teacher = store.create(spec), store.create(TRAINING, label="Mine")
    run = RunStore(store.runs_dir).get(teacher)
    assert isinstance(run, TrainingRun)
    assert (run.spec, run.teacher, run.epochs, run.rounds) == (TRAINING, "mine", 2, 20)
    assert TeacherSpec.from_yaml((store.folder(teacher) / "spec.yaml").read_text()) == TRAINING
    assert [run.id for run in store.distillations()] == [student]
    assert [run.id for run in store.trainings()] == [teacher]
    assert [run.id for run in store.all_runs()] == [teacher, student]
    assert [run.id for run in store.queue()] == [student, teacher], "one line for both"
    assert store.get_distillation(student).teacher == spec.teacher
    with pytest.raises(StoreError, match="trains a teacher"):
        store.get_distillation(teacher)


def test_a_name_is_in_training_until_its_run_is_over(store, spec):
    store.create(spec)
    first, second = store.create(TRAINING), store.create(TRAINING.replaced({"name": "other"}))
    store.pause(second)
    assert store.teachers_in_training() == {"mine", "other"}
    store.stop(first)
    assert store.teachers_in_training() == {"other"}


def test_places_in_line_are_counted_for_each_device(store, spec):
    first, second = store.create(spec), store.create(spec)
    elsewhere = store.create(spec.replaced({"device": "cuda"}))
    assert [store.get(run_id).queue_position for run_id in (first, second, elsewhere)] == [1, 2, 1]
    store.stop(first)
    assert [store.get(run_id).queue_position for run_id in (first, second)] == [None, 1]


def test_a_waiting_run_can_be_paused_resumed_and_stopped(store, spec):
    run_id, other = store.create(spec), store.create(spec)
    store.pause(run_id)
    assert store.get(run_id).status == "paused"
    store.resume(run_id)
    assert [run.id for run in store.queue()] == [other, run_id], "it joins the end of the line"
    store.stop(run_id)
    assert store.get(run_id).status == "stopped"
    assert store.get(run_id).finished is not None
    store.pause(run_id)  # nothing to a run that is over
    assert store.get(run_id).status == "stopped"
    assert list(store.history(run_id)["kind"]) == ["created", "paused", "stopped"]


@pytest.mark.parametrize("run_id", HOSTILE, ids=lambda value: repr(value)[:24])
def test_what_is_not_an_id_reaches_neither_path_nor_database(store, spec, run_id):
    kept = store.create(spec)
    for name in ASKING:
        with pytest.raises(UnknownRunError, match="is not a run's id"):
            getattr(store, name)(run_id)
    with pytest.raises(UnknownRunError):
        store.snapshot(run_id, 1)
    with pytest.raises(UnknownRunError):
        store.set_threshold(run_id, 1.0)
    assert [run.id for run in store.distillations()] == [kept]
    assert [path.name for path in (store.runs_dir / "runs").iterdir()] == [kept]


@pytest.mark.parametrize("name", ["get", "pause", "resume", "stop", "step", "delete"])
def test_an_unknown_run_is_named(store, name):
    with pytest.raises(UnknownRunError, match="zzzzzzzz"):
        getattr(store, name)("zzzzzzzz")


def test_deleting_takes_the_files_along(store, spec):
    run_id, other = store.create(spec), store.create(spec)
    store.delete(run_id)
    assert not store.folder(run_id).exists()
    assert store.folder(other).exists()
    assert [run.id for run in store.distillations()] == [other]
    assert store.history(run_id).empty


def test_a_run_on_a_device_is_not_deleted(store, spec):
    run_id = store.create(spec)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (run_id,))
    with pytest.raises(RunBusyError, match="stop it"):
        store.delete(run_id)
    assert store.folder(run_id).exists()


def test_a_teacher_is_deleted_only_if_no_run_names_it(store):
    """A later teacher of the same name would pass for that of the runs."""
    save_tiny_teacher(store.runs_dir)
    files = [store.runs_dir / "teachers" / f"tiny.{suffix}" for suffix in ("json", "safetensors")]
    run_ids = [logged_run(store, (80.0, 10.0), teacher="tiny"), store.create(TINY)]
    run_ids.append(store.create(TRAINING.model_copy(update={"name": "tiny"})))
    logged_run(store, (80.0, 10.0))  # of another teacher
    with pytest.raises(TeacherError, match=f"'tiny' has 3 runs: {', '.join(run_ids)}; delete them first"):
        store.delete_teacher("tiny")
    for run_id in run_ids[:2]:
        store.delete(run_id)
    with pytest.raises(TeacherError, match=f"'tiny' has 1 run: {run_ids[2]}; delete it first"):
        store.delete_teacher("tiny")
    store.stop(run_ids[2])
    assert all(file.exists() for file in files)
    store.delete_teacher("tiny")
    assert not any(file.exists() for file in files)
    with pytest.raises(TeacherError, match="'tiny' is not known"):
        store.delete_teacher("tiny")


def test_a_teacher_whose_files_cannot_be_deleted_is_said(store, monkeypatch):
    """It was a traceback: a folder that is read-only, or one that another program has just emptied."""
    save_tiny_teacher(store.runs_dir)

    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(StoreError, match="teacher: 'tiny' cannot be deleted: .*denied"):
        store.delete_teacher("tiny")


def test_weights_that_are_left_of_a_deleted_teacher_are_named(store):
    """It said that the teacher cannot be deleted, and the teacher was gone."""
    save_tiny_teacher(store.runs_dir)
    weights = store.runs_dir / "teachers" / "tiny.safetensors"
    weights.unlink()
    weights.mkdir()  # cannot be removed as a file
    with pytest.raises(StoreError, match=f"'tiny' is deleted, but its weights {weights} are left: "):
        store.delete_teacher("tiny")
    assert find_card("tiny", store.runs_dir) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mnistm-mnist-ntl", "ships with the lab; expected one that was loaded or trained here"),
        ("../../etc/passwd", "not known; expected lower-case letters"),
    ],
)
def test_only_ones_own_teachers_are_deleted(store, name, why):
    with pytest.raises(TeacherError, match=why):
        store.delete_teacher(name)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_threshold_is_a_number(store, spec, value):
    with pytest.raises(ValueError, match="threshold"):
        store.set_threshold(store.create(spec), value)


def a_snapshot(epoch: int) -> Snapshot:
    random = np.random.default_rng(epoch)
    return Snapshot(
        epoch,
        random.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8),
        random.random((5, 10), dtype=np.float32),
        random.random((5, 10), dtype=np.float32),
        random.random((5, 7), dtype=np.float32),
        random.random((2, 12), dtype=np.float32),
        {"min_eps": np.array([1, 2, 3, 4, np.inf], np.float32), "kl": random.random(5, dtype=np.float32)},
        np.array([True, False, True, False, False]),
        3.7,
    )


def test_a_snapshot_comes_back_as_it_was(store, spec):
    run_id = store.create(spec)
    for epoch in (10, 2):
        RunLog(store, store.get(run_id)).write_snapshot(a_snapshot(epoch))
    assert store.snapshot_epochs(run_id) == [2, 10]
    saved, loaded = a_snapshot(10), store.snapshot(run_id, 10)
    assert (loaded.epoch, loaded.threshold, set(loaded.scores)) == (10, 3.7, {"min_eps", "kl"})
    for name in ("images", "teacher_probs", "student_probs", "features", "batchnorm", "fragile"):
        np.testing.assert_array_equal(getattr(saved, name), getattr(loaded, name), strict=True)
    np.testing.assert_array_equal(saved.scores["min_eps"], loaded.scores["min_eps"], strict=True)
    np.testing.assert_array_equal(read_batchnorm(store.snapshot_file(run_id, 10)), saved.batchnorm, strict=True)
    with pytest.raises(StoreError, match="there are: 2, 10"):
        store.snapshot(run_id, 3)


def test_half_a_file_leaves_the_whole_one(store, spec):
    run_id = store.create(spec)
    RunLog(store, store.get(run_id)).write_snapshot(a_snapshot(1))
    path = store.snapshot_file(run_id, 1)

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half of")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    path.with_name(f".{path.name}.new").write_bytes(b"what a killed process left")
    assert store.snapshot_epochs(run_id) == [1]
    assert store.snapshot(run_id, 1).threshold == 3.7


def test_a_pickle_in_a_snapshot_is_not_opened(store, spec):
    run_id = store.create(spec)
    path = store.snapshot_file(run_id, 1)
    path.parent.mkdir()
    np.savez(path, images=np.array([{"a": 1}], dtype=object), epoch=1, threshold=1.0)
    with pytest.raises(StoreError, match=r"damaged \(ValueError\)"):
        store.snapshot(run_id, 1)


def test_rounds_and_epochs_are_frames(store, spec):
    run_id = store.create(spec)
    assert list(store.rounds(run_id).columns) == ["epoch", "round", "images", "time", "threshold", "fragile_share"]
    log = RunLog(store, store.get(run_id))
    for number in range(1, 4):
        log.write_round(1, number, 32 * number, {"g/bn": 0.1 * number}, None, None)
    log.write_round(2, 1, 128, {"g/bn": 0.5, "s/robust": float("nan")}, 0.25, 4.0)
    log.write_epoch(1, 96, {"iacc": 0.1 + 0.2, "olacc": 100.0}, (90.0, None, 0.1), 2)
    steps, epochs = store.rounds(run_id), store.epochs(run_id)
    assert list(steps["g/bn"]) == [0.1, 0.2, 0.1 * 3, 0.5]
    assert list(steps["fragile_share"].dropna()) == [0.25]
    assert list(epochs["iacc"]) == [0.1 + 0.2], "to the last bit"
    assert store.get(run_id).metrics == {"iacc": 0.1 + 0.2, "olacc": 100.0}
    assert list(store.rounds(run_id, at_most=2)["images"]) == [64, 128]


def test_the_epoch_that_was_measured_is_not_the_one_in_progress(store, spec):
    """Lists and a figure's origin named the epoch in progress beside the accuracy of the one before."""
    log = RunLog(store, store.get(store.create(spec)))
    log.write_round(1, 1, 32, {"g/bn": 0.1}, None, None)
    assert (store.get(log.run.id).epoch, store.get(log.run.id).measured_epoch) == (1, 0)
    log.write_epoch(1, 32, {"iacc": 60.0})
    log.write_round(2, 1, 64, {"g/bn": 0.1}, None, None)
    run = store.get(log.run.id)
    assert (run.epoch, run.measured_epoch, run.metrics) == (2, 1, {"iacc": 60.0})


def test_recalls_are_those_of_the_epoch_asked_for_or_of_the_last(store, spec):
    run_id = store.create(spec)
    assert store.recalls(run_id) is None
    log = RunLog(store, store.get(run_id))
    log.write_epoch(1, 96, {"iacc": 60.0}, (90.0, None, 0.1), 2)
    log.write_epoch(2, 192, {"iacc": 60.0}, (80.0, None, 20.0), 2)
    assert store.recalls(run_id) == ClassRecalls(2, (80.0, None, 20.0), 2)
    assert store.recalls(run_id, 1).of_trap_label == 0.1
    log.write_epoch(3, 288, {"iacc": 60.0})
    assert store.recalls(run_id) is None  # not measured


def test_a_round_logged_again_takes_the_place_of_the_first(store, spec):
    log = RunLog(store, store.get(store.create(spec)))
    for value in (1.0, 2.0):
        log.write_round(1, 1, 32, {"g/bn": value}, None, None)
        log.write_epoch(1, 32, {"iacc": value})
    assert list(store.rounds(log.run.id)["g/bn"]) == [2.0]
    assert list(store.epochs(log.run.id)["iacc"]) == [2.0]


def test_a_new_folder_opened_by_many_at_once(tmp_path, spec):
    def open_and_create(_: int) -> str:
        store = RunStore(tmp_path / "new")
        run_id = store.create(spec)
        store.close()
        return run_id

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(open_and_create, range(24)))
    store = RunStore(tmp_path / "new")
    assert {run.id for run in store.distillations()} == ids
    assert len(ids) == 24
    store.close()


def test_a_spec_of_another_version_hides_only_itself(store, spec):
    odd, fine = store.create(spec), store.create(spec)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET spec = ? WHERE id = ?", (json.dumps({"teacher": "t", "new": 1}), odd))
    assert [run.id for run in store.distillations()] == [fine]
    assert store.unreadable().keys() == {odd}
    assert "new: 1" in store.unreadable()[odd]
    with pytest.raises(StoreError, match=f"run: {odd} cannot be read: .*\n?new: 1"):
        store.get(odd)


GARBLED = ["", "{", "[]", "5", "[" * 60_000, b'{"iacc": 1\xff}']


@pytest.mark.parametrize("garbled", GARBLED)
@pytest.mark.parametrize("column", ["spec", "fork"])
def test_a_garbled_run_hides_only_itself(store, spec, column, garbled):
    """Text that is no JSON in one row ended every list of runs in a JSONDecodeError."""
    odd, fine = store.create(spec), store.create(spec)
    with store.database.write() as connection:
        connection.execute(f"UPDATE runs SET {column} = CAST(? AS TEXT) WHERE id = ?", (garbled, odd))
    if (column, garbled) == ("fork", ""):  # as if there were none
        assert {run.id for run in store.all_runs()} == {fine}
        return
    assert [run.id for run in store.all_runs(include_forks=True)] == [fine]
    assert [run.id for run in store.queue()] == [fine]
    assert store.forks(fine) == []
    assert "damaged; expected a JSON object" in store.unreadable()[odd]
    with pytest.raises(StoreError, match=f"run: {odd} cannot be read: "):
        store.get(odd)


@pytest.mark.parametrize("garbled", GARBLED)
def test_garbled_epochs_and_rounds_are_left_out_and_named(store, garbled):
    run_id = logged_run(store, (80.0, 10.0), (81.0, 9.0), (82.0, 8.0), recalls=(70.0, 90.0))
    assert store.damaged_rows(run_id) == []
    with store.database.write() as connection:
        connection.execute("UPDATE epochs SET metrics = CAST(? AS TEXT) WHERE epoch = 2", (garbled,))
        connection.execute("UPDATE epochs SET recalls = CAST(? AS TEXT) WHERE epoch = 3", (garbled,))
        connection.execute("UPDATE rounds SET losses = CAST(? AS TEXT) WHERE (epoch, round) = (1, 2)", (garbled,))
    assert store.epochs(run_id)["iacc"].tolist() == [80, 82]
    assert store.rounds(run_id)[["epoch", "round"]].values.tolist() == [[1, 1], [2, 1], [2, 2], [3, 1], [3, 2]]
    assert store.recalls(run_id) is None
    assert store.recalls(run_id, 1).by_label == (70.0, 90.0)
    of_recalls = [] if garbled == "[]" else ["epoch 3"]  # which says that none were measured
    assert store.damaged_rows(run_id) == ["epoch 2", *of_recalls, "epoch 1, round 2"]
    assert store.get(run_id).metrics["iacc"] == 82


def test_a_database_of_another_version_is_left_alone(tmp_path):
    RunStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "runs.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="another version"):
        RunStore(tmp_path)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "runs.sqlite").write_text("not a database, by any measure" * 100)
    with pytest.raises(StoreError, match="runs.sqlite"):
        RunStore(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="runs folder"):
        RunStore(tmp_path / "file" / "runs")


def test_a_disk_that_fails_for_a_moment_damages_no_snapshot(tmp_path, monkeypatch):
    """The epoch was hidden until the process ended, and the user was told to delete a good file."""
    path = tmp_path / "00001.npz"
    np.savez(path, batchnorm=np.ones(2))

    def failing(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("atesc_core.runs.snapshots.np.load", failing)
        with pytest.raises(StoreError, match="Too many open files.*try again"):
            read_batchnorm(path)
    assert is_whole(str(path), path.stat().st_mtime_ns)
    assert read_batchnorm(path).tolist() == [1, 1]


@pytest.mark.parametrize("damage", ["emptied", "cut", "noise", "flipped", "other arrays"])
def test_a_damaged_snapshot_is_a_sentence(tmp_path, damage):
    """One damaged snapshot was a traceback on every page of its run."""
    path = tmp_path / "00001.npz"
    shots = {name: np.zeros((4, 3, 8, 8), np.uint8) for name in ("images", "teacher_probs", "student_probs")}
    shots |= {name: np.zeros(4, np.float32) for name in ("features", "batchnorm", "fragile")}
    Snapshot(1, **shots, scores={"min_eps": np.ones(4)}, threshold=2.0).save(path)
    assert Snapshot.load(path).threshold == 2
    data = bytearray(path.read_bytes())
    match damage:
        case "emptied":
            data = bytearray()
        case "cut":
            del data[len(data) // 2 :]
        case "noise":
            data = bytearray(b"noise" * 500)
        case "flipped":
            data[data.index(bytes(100)) + 50] ^= 1  # a pixel
        case "other arrays":
            np.savez(path, a=np.zeros(3))
            data = bytearray(path.read_bytes())
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"00001\.npz: the synthetic images of this epoch are damaged"):
        Snapshot.load(path)
