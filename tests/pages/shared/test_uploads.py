"""All visitors together hold a bounded amount of uploaded files."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

import app
from pages.shared import uploads
from pages.shared.uploads import UploadBound, held_bytes
from tests.support.pages import page_text

PATH = "/_stcore/upload_file/session/file"


@pytest.fixture
def files(monkeypatch) -> MemoryUploadedFileManager:
    """The uploaded files of a server whose bound is 1 MB."""
    manager = MemoryUploadedFileManager("/_stcore/upload_file")
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))
    monkeypatch.setenv("ATESC_MAX_UPLOADS_MB", "1")
    return manager


@pytest.mark.parametrize("value", ["", "inf", "nan", "-1", "0", "many"])
def test_a_bound_that_is_no_number_is_the_usual_one(monkeypatch, value):
    """``inf`` made every upload an error of the server."""
    monkeypatch.setenv("ATESC_MAX_UPLOADS_MB", value)
    assert uploads.max_bytes() == 1024e6


def answers(*lengths: int | None, method: str = "PUT", path: str = PATH) -> list[int]:
    """The status of each of several uploads that are sent at the same time; the server answers 204."""

    async def lab(scope, receive, send):
        await asyncio.sleep(0)  # the others are asked meanwhile
        await send({"type": "http.response.start", "status": 204})

    bound = UploadBound(lab)

    async def send_one(length: int | None) -> int:
        sent = []

        async def send(message):
            sent.append(message)

        headers = [] if length is None else [(b"content-length", str(length).encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        await bound(scope, None, send)
        return sent[0]["status"]

    async def send_all() -> list[int]:
        return await asyncio.gather(*map(send_one, lengths))

    with ThreadPoolExecutor() as pool:  # Playwright's loop runs in this thread after a test with a browser
        return pool.submit(lambda: asyncio.run(send_all())).result()


def test_the_server_has_the_bound():
    assert UploadBound in [each.cls for each in app.app._user_middleware]


def test_what_visitors_hold_together_is_bounded_and_given_back(files):
    """Each file was bounded, and the number of files and visitors was not."""
    assert answers(600_000) == [204]
    for visitor in ("one", "other"):
        files.add_file(visitor, UploadedFileRec("a", "a.pt", "", bytes(300_000)))
    assert held_bytes() == 600_000
    assert answers(400_001) == [413]
    assert answers(400_000) == [204]
    files.remove_session_files("other")  # Streamlit does so when a visitor leaves
    assert answers(400_001) == [204]


def test_files_that_arrive_at_once_count_together(files):
    assert answers(600_000, 300_000, 200_000) == [204, 204, 413]


def test_a_file_of_unknown_length_is_refused_and_other_requests_are_not(files):
    files.add_file("one", UploadedFileRec("a", "a.pt", "", bytes(1_000_000)))
    assert answers(None) == [411]
    assert answers(None, method="DELETE") == [204]
    assert answers(None, method="GET", path="/distill") == [204]


def test_storage_shows_what_is_held_and_what_waits(open_page, store, monkeypatch):
    """The page showed neither uploads nor jobs."""
    monkeypatch.setattr("pages.storage.usage.held_bytes", lambda: 12_300_000)
    waiting = [SimpleNamespace(state="queued")] * 3 + [SimpleNamespace(state="running")]
    monkeypatch.setattr("pages.storage.usage.jobs.active", lambda: waiting)
    opened = open_page("storage")
    assert not opened.exception
    text = page_text(opened)
    assert re.search(r"Uploads held\W+12\.3\W+MB\W+at most 1\u202f024\.0 MB", text)
    assert re.search(r"Jobs in line\W+3\W+at most 32 of a kind", text)
