"""A disk that is full, a folder that cannot be written, a database that is held or damaged: each is a sentence."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, database
from atesc_core.runs.database import Database


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


def test_a_database_that_is_held_for_a_while_does_not_fail_a_run(tmp_path, monkeypatch):
    """A minute's lock, as of a backup, failed the run."""
    monkeypatch.setattr(database, "LOCK_S", 0.05)
    with closing(Database(tmp_path / "runs.sqlite")) as ours, closing(sqlite3.connect(
        tmp_path / "runs.sqlite", isolation_level=None, check_same_thread=False
    )) as other:  # fmt: skip
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "LOCK_ATTEMPTS", 2)
        with pytest.raises(StoreError, match="another program has held it for 0.1 s"), ours.write():
            pass
        monkeypatch.setattr(database, "LOCK_ATTEMPTS", 100_000)
        refused = threading.Event()
        begin = ours._connection.execute

        class Watched:
            """The connection, which says when a first attempt was refused."""

            def __getattr__(self, name):
                return getattr(connection, name)

            def execute(self, sql, *values):
                try:
                    return begin(sql, *values)
                except sqlite3.OperationalError:
                    refused.set()
                    raise

        connection, ours._connection = ours._connection, Watched()
        releasing = threading.Thread(target=lambda: (refused.wait(60), other.execute("COMMIT")))
        releasing.start()
        with ours.write() as transaction:
            transaction.execute("INSERT INTO workers VALUES ('cpu', '[]')")
        releasing.join()
        assert refused.is_set()
        assert len(ours.read("SELECT * FROM workers")) == 1


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
