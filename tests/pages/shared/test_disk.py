"""With a full disk, or a folder that cannot be written, all pages show what there is, also while a run waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from atesc_core.runs import RunStore, launcher
from tests.support.disks import fill_disk, read_only_copy
from tests.support.labs import logged_run, tiny_spec
from tests.support.pages import PAGE_NAMES, button, page_text, tick_runs


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices for which worker processes were started."""
    started: list[str] = []

    def spawn(runs_dir: Path, requested: str) -> None:
        started.append(requested)
        raise AssertionError("a worker was started")

    monkeypatch.setattr(launcher, "_spawn", spawn)
    return started


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A lab with an ended run, and one that waits for a worker."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    store = RunStore(tmp_path / "lab")
    logged_run(store, (50.0, 50.0), (60.0, 40.0))
    store.create(tiny_spec(), label="the one that waits")
    return store


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_each_page_shows_on_a_full_disk(lab, spawned, open_page, monkeypatch, page):
    """Each tick of the sidebar's timer started a process, whose start could then not be noted."""
    fill_disk(monkeypatch, lab.runs_dir)
    app = open_page(page)
    assert not app.exception
    assert "the one that waits" in [link.proto.label for link in app.sidebar.get("page_link")]
    assert "the disk is full; delete runs or other files" in app.sidebar.warning[0].value
    assert spawned == []


def test_a_run_is_deleted_on_a_full_disk(lab, spawned, open_page, monkeypatch):
    ended, waiting = sorted(lab.all_runs(), key=lambda run: run.status)
    (lab.folder(ended.id) / "snapshots").mkdir()
    (lab.folder(ended.id) / "snapshots" / "1.npz").write_bytes(bytes(1_000_000))
    monkeypatch.setattr(launcher, "_start", lambda store, requested: None)
    fill_disk(monkeypatch, lab.folder(ended.id))
    app = button(tick_runs(open_page("storage"), 0), "Delete for good").click().run()
    assert not app.exception
    assert "1.0 MB freed." in page_text(app)
    assert [run.id for run in lab.all_runs()] == [waiting.id]


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_each_page_shows_a_folder_that_cannot_be_written(lab, spawned, open_page, tmp_path, monkeypatch, page):
    """A queued run there was an error box every two seconds, and the last rows were missing."""
    copy = read_only_copy(monkeypatch, lab, tmp_path / "read only")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(copy))
    app = open_page(page)
    assert not app.exception
    assert not app.sidebar.warning
    assert not app.sidebar.error
    assert "the one that waits" in [link.proto.label for link in app.sidebar.get("page_link")]
    assert spawned == []
