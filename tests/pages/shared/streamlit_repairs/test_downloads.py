"""A press on a download button of a page that draws itself anew brings the file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from pages.shared import streamlit_repairs
from pages.shared.streamlit_repairs import downloads


@pytest.fixture
def manager(monkeypatch) -> MediaFileManager:
    for name in ("add_deferred", "_get_inactive_file_ids"):
        monkeypatch.setattr(MediaFileManager, name, getattr(MediaFileManager, name))  # restored afterwards
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: "session")
    downloads.keep_downloads_while_redrawing()
    return MediaFileManager(MemoryMediaFileStorage("/media"))


def draw(manager: MediaFileManager, text: str, button: str = "csv") -> str:
    """A fragment's run that draws the button; returns the id that the browser asks for when it is pressed."""
    file_id = manager.add_deferred(lambda: text, "text/csv", f"at {button}", f"{button}.csv", element_id=button)
    manager.remove_orphaned_files()
    return file_id


def content(manager: MediaFileManager, url: str) -> bytes:
    return manager._storage.get_file(url.rpartition("/")[2]).content


def test_a_button_drawn_again_is_the_same_and_gives_what_is_new(manager):
    """The press came with the id of the last drawing, which was gone: nothing happened."""
    shown = draw(manager, "old")
    other = draw(manager, "other", "latex")
    assert draw(manager, "new") == shown != other
    assert content(manager, manager.execute_deferred(shown)) == b"new"
    assert content(manager, manager.execute_deferred(other)) == b"other"


def test_the_file_waits_for_the_browser(manager, monkeypatch):
    """It was deleted with the second run after the press."""
    url = manager.execute_deferred(draw(manager, "first"))
    for number in range(5):
        draw(manager, f"later {number}")
    assert content(manager, url) == b"first"
    later: Callable[[], float] = lambda: downloads_began + downloads.FETCH_S + 1  # noqa: E731
    downloads_began = downloads.time.monotonic()
    monkeypatch.setattr(downloads.time, "monotonic", later)
    draw(manager, "last")
    draw(manager, "last")
    with pytest.raises(MediaFileStorageError):
        content(manager, url)


def test_a_visitors_button_is_not_anothers(manager, monkeypatch):
    mine = draw(manager, "mine")
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: "another")
    theirs = draw(manager, "theirs")
    assert mine != theirs
    assert content(manager, manager.execute_deferred(mine)) == b"mine"
    manager.clear_session_refs("session")
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError, match="not found"):
        manager.execute_deferred(mine)


def test_the_repairs_are_for_the_streamlit_that_is_locked():
    """With another version: see which tests here pass without them, and whether the others still fit."""
    assert st.__version__.startswith(streamlit_repairs.VERSION)
