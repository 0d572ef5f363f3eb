"""A disk that is full, a folder that cannot be written, a database that is held or damaged: each is a sentence."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, database, worker
from atesc_core.runs.database import Database
from tests.support.disks import read_only_copy


def fill_disk(store: RunStore) -> None:
    """From now on the database cannot grow, as on a full disk."""
    [[pages]] = store.database.read("PRAGMA page_count")
    store.database.read(f"PRAGMA max_page_count = {pages}")


def test_on_a_full_disk_runs_can_be_read_and_deleted(store, spec):
    """Every page was a traceback, and so was delete: there was no way out."""
    runs = [store.create(spec) for _ in range(40)]
    fill_disk(store)

    def fill() -> None:
        for _ in range(200):
            store.create(spec)

    with pytest.raises(StoreError, match="the disk is full; delete runs or other files, then try again"):
        fill()
    assert store.get(runs[0]).status == "queued"
    store.delete(runs[0])
    assert not store.folder(runs[0]).exists()
    assert runs[0] not in {run.id for run in store.distillations()}


def test_files_are_deleted_even_where_that_cannot_be_noted(store, spec, monkeypatch):
    run_id = store.create(spec)
    monkeypatch.setattr(store.database, "write", lambda: (_ for _ in ()).throw(StoreError("the disk is full")))
    with pytest.raises(StoreError, match="the disk is full"):
        store.delete(run_id)
    assert not store.folder(run_id).exists()


def test_a_folder_that_cannot_be_written_can_be_looked_at(store, spec, monkeypatch):
    run_id = store.create(spec)
    store.close()  # closing writes all into the one file
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with closing(RunStore(store.runs_dir)) as looked_at:
        assert looked_at.get(run_id).spec == spec
        for change in (lambda: looked_at.stop(run_id), lambda: looked_at.delete(run_id)):
            with pytest.raises(StoreError, match="cannot be written; runs can be looked at"):
                change()


def test_what_was_written_last_is_seen_in_a_folder_that_cannot_be_written(store, spec, tmp_path, monkeypatch):
    """The last transactions stand in a file beside the database, which was ignored."""
    run_id = store.create(spec)
    with closing(RunStore(read_only_copy(monkeypatch, store, tmp_path / "copy"))) as looked_at:
        assert looked_at.get(run_id).spec == spec
        with pytest.raises(StoreError, match="cannot be written; runs can be looked at"):
            looked_at.stop(run_id)


@pytest.fixture
def held(tmp_path):
    """A database, and another program's connection that holds it."""
    path = tmp_path / "runs.sqlite"
    with closing(Database(path, patience_s=60)) as ours, closing(
        sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ) as other:  # fmt: skip
        other.execute("BEGIN IMMEDIATE")
        yield ours, other


def refusals(database: Database) -> threading.Event:
    """Set when a statement of this database is refused for the first time."""
    refused, connection = threading.Event(), database._connection

    class Watched:
        def __getattr__(self, name):
            return getattr(connection, name)

        def execute(self, sql, *values):
            try:
                return connection.execute(sql, *values)
            except sqlite3.OperationalError:
                refused.set()
                raise

    database._connection = Watched()
    return refused


def test_a_database_that_is_held_for_a_while_does_not_fail_a_run(held):
    """A minute's lock, as of a backup, failed the run."""
    ours, other = held
    refused = refusals(ours)
    releasing = threading.Thread(target=lambda: (refused.wait(60), other.execute("COMMIT")))
    releasing.start()
    with ours.write() as transaction:
        transaction.execute("INSERT INTO workers VALUES (1, 'cpu')")
    releasing.join()
    assert refused.is_set()
    assert len(ours.read("SELECT * FROM workers")) == 1


def test_reads_do_not_wait_behind_a_write_that_waits(held):
    """All pages of the app stood still for as long as one visitor's request was tried again."""
    ours, other = held
    refused = refusals(ours)

    def write() -> None:
        with ours.write() as transaction:
            transaction.execute("INSERT INTO workers VALUES (1, 'cpu')")

    writing = threading.Thread(target=write)
    writing.start()
    assert refused.wait(60)
    read = ours.read("SELECT * FROM workers")  # returns although the other program holds the database
    assert writing.is_alive()
    other.execute("COMMIT")
    writing.join(60)
    assert read == []
    assert len(ours.read("SELECT * FROM workers")) == 1


def test_a_visitors_request_gives_up_soon_and_a_workers_does_not(store, held, monkeypatch):
    ours, _ = held
    with pytest.raises(StoreError, match=r"another program has held it for 0\.05 s; end"), ours.write(patience_s=0.05):
        pass
    assert store.database._patience_s == database.PATIENCE_S <= 10
    opened = []
    monkeypatch.setattr(
        worker, "RunStore", lambda *values, **more: opened.append(RunStore(*values, **more)) or opened[0]
    )
    worker.work(store.runs_dir, "cpu")
    assert opened[0].database._patience_s == database.WORKER_PATIENCE_S >= 300


@pytest.mark.parametrize("content", [b"noise" * 2000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_database_says_what_to_do(tmp_path, content):
    (tmp_path / "runs.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match=r"runs\.sqlite: is damaged .*move it away"):
        RunStore(tmp_path)


def test_an_emptied_database_does_not_hide_the_runs(store, spec):
    """SQLite takes an empty file for a new database: the lab looked as if it had never had a run."""
    store.create(spec)
    store.close()
    for name in ("runs.sqlite-wal", "runs.sqlite-shm"):
        (store.runs_dir / name).unlink(missing_ok=True)
    (store.runs_dir / "runs.sqlite").write_bytes(b"")
    with pytest.raises(StoreError, match=r"runs\.sqlite: is damaged .it is empty, and there are runs"):
        RunStore(store.runs_dir)
    (store.runs_dir / "runs.sqlite").unlink()  # moved away, as it says
    RunStore(store.runs_dir).close()


def test_a_page_that_is_damaged_later_is_a_sentence_too(store, spec):
    store.create(spec)
    store.database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    with (store.runs_dir / "runs.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)
    with closing(sqlite3.connect(store.runs_dir / "runs.sqlite")):
        pass
    store.close()
    with pytest.raises(StoreError, match="is damaged"):
        RunStore(store.runs_dir).distillations()


VERSION_6 = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    label TEXT,
    run_group TEXT,
    task TEXT NOT NULL,
    spec TEXT NOT NULL,
    fork TEXT,
    requested_device TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued',
    created REAL NOT NULL,
    queued REAL NOT NULL,
    started REAL,
    finished REAL,
    requested_state TEXT NOT NULL DEFAULT 'run',
    steps_left INTEGER NOT NULL DEFAULT 0,
    pending_threshold REAL,
    seconds_per_turn REAL,
    device_kind TEXT,
    device TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    round INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0,
    images_per_s REAL,
    eta_s REAL,
    error TEXT
);
CREATE INDEX runs_by_status ON runs (status, queued);
CREATE INDEX runs_by_age ON runs (created);
CREATE TABLE rounds (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    round INTEGER NOT NULL,
    time REAL NOT NULL,
    images INTEGER NOT NULL,
    threshold REAL,
    fragile_share REAL,
    losses TEXT NOT NULL,
    PRIMARY KEY (run, epoch, round)
) WITHOUT ROWID;
CREATE TABLE epochs (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    time REAL NOT NULL,
    images INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    recalls TEXT NOT NULL,
    trap_label INTEGER,
    PRIMARY KEY (run, epoch)
) WITHOUT ROWID;
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    round INTEGER NOT NULL,
    value REAL,
    text TEXT
);
CREATE INDEX history_by_run ON history (run, number);
CREATE TABLE workers (
    kind TEXT PRIMARY KEY,
    serves TEXT NOT NULL
);
CREATE TABLE starting (
    requested_device TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    time REAL NOT NULL,
    attempts INTEGER NOT NULL
);
PRAGMA user_version = 6;
"""


@pytest.fixture
def of_version_6(tmp_path, spec) -> Path:
    """A folder of the version before, with a run that is done, one that runs and one that waits."""
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(VERSION_6)
        for run_id, status in (("aaaaaaaa", "done"), ("bbbbbbbb", "running"), ("cccccccc", "queued")):
            old.execute(
                "INSERT INTO runs (id, task, spec, requested_device, epochs, rounds, created, queued, status, "
                "device_kind) VALUES (?, 'distillation', ?, 'cpu', 2, 3, 0, 0, ?, 'cpu')",
                (run_id, spec.model_dump_json(exclude={"threads"}), status),
            )
        old.commit()
    return tmp_path


def test_a_database_of_the_version_before_is_taken_over_with_its_runs(of_version_6, spec, tmp_path):
    """Its running runs are those of workers that know nothing of this version's locks."""
    store = RunStore(tmp_path)
    assert {run.id: run.status for run in store.all_runs()} == {
        "aaaaaaaa": "done",
        "bbbbbbbb": "interrupted",
        "cccccccc": "queued",
    }
    assert store.get("aaaaaaaa").spec == spec
    new = Database(tmp_path / "new.sqlite")
    for table in ("runs", "devices", "workers", "starting"):
        names = [
            {row["name"] for row in database.read(f"PRAGMA table_info({table})")} for database in (store.database, new)
        ]
        assert names[0] == names[1]
    new.close()
    store.close()


def test_a_database_is_not_taken_over_while_its_workers_compute(of_version_6):
    """The worker went on, and its run was marked interrupted."""
    with FileLock(of_version_6 / "device-cpu.lock"), pytest.raises(StoreError, match="an earlier version .* computes"):
        RunStore(of_version_6)
    RunStore(of_version_6).close()


def test_an_open_database_that_another_version_takes_over_says_so(store):
    """The page of an app that was left open stopped at a column that is gone."""
    with closing(sqlite3.connect(store.runs_dir / "runs.sqlite")) as newer:
        newer.execute("ALTER TABLE runs RENAME COLUMN worker TO computed_by")
        newer.execute("PRAGMA user_version = 8")
        newer.commit()
    with pytest.raises(StoreError, match=r"another version of this program \(format 8, this one reads 7\)"):
        store.all_runs()
