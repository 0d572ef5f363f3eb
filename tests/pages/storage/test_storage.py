"""The page Storage: sizes, and making room."""

from __future__ import annotations

import shutil

import pytest

from tests.support.labs import archive_of, logged_run, tiny_spec
from tests.support.pages import button, page_text, tick_runs


@pytest.fixture
def runs(store):
    """Two ended runs, and one that waits."""
    ended = [logged_run(store, (50.0, 50.0)) for _ in range(2)]
    for run_id, size in zip(ended, (1_000_000, 3_000_000), strict=True):
        folder = store.folder(run_id) / "snapshots"
        folder.mkdir()
        for epoch in (1, 2, 3):
            (folder / f"{epoch}.npz").write_bytes(archive_of(size))
    return [*ended, store.create(tiny_spec())]


def test_an_empty_lab(open_page, store):
    shutil.rmtree(store.runs_dir / "cache")
    app = open_page("storage")
    assert not app.exception
    assert "No runs" in page_text(app)
    assert button(app, "Empty").disabled


def test_the_largest_run_is_first(open_page, runs):
    app = open_page("storage")
    assert list(app.dataframe[0].value["Images"]) == [9.0, 3.0, 0.0]
    assert button(app, "Thin").disabled
    assert "at most 200" in page_text(app)
    assert "at most 1\u202f024.0 MB" in page_text(app), "thousands are separated as on every page"
    assert "no bound but the disk" in page_text(app)


def test_ticked_runs_are_deleted(open_page, store, runs):
    app = tick_runs(open_page("storage"), 0)
    app = button(app, "Delete for good").click().run()
    assert not app.exception
    assert {run.id for run in store.all_runs()} == {runs[0], runs[2]}
    assert "9.0 MB freed." in page_text(app)


def test_a_tick_is_for_a_run_and_not_for_a_row(open_page, store, runs):
    """After a run was deleted, here or by another visitor, the next one in its row was ticked."""
    app = tick_runs(open_page("storage"), 0)
    assert "1 run ticked, 9.0 MB" in page_text(app)
    store.delete(runs[1])
    assert "Nothing ticked" in page_text(app.run())


def test_what_cannot_be_thinned_says_so_and_the_others_are(open_page, store, runs):
    app = tick_runs(open_page("storage"), 0, 1, 2)
    app = button(app, "Thin").click().run()
    assert not app.exception
    assert f"run: {runs[2]} is queued" in page_text(app)
    assert "4.0 MB freed." in page_text(app)
    assert [store.snapshot_epochs(run_id) for run_id in runs] == [[1, 3], [1, 3], []]


def test_the_cache_is_emptied(open_page, store, runs):
    (store.runs_dir / "cache" / "maps").mkdir(parents=True)
    (store.runs_dir / "cache" / "maps" / "a.npz").write_bytes(bytes(2_500_000))
    app = open_page("storage")
    assert "2.5 MB" in page_text(app)
    assert not button(app, "Empty").click().run().exception
    assert not (store.runs_dir / "cache" / "maps").exists()
