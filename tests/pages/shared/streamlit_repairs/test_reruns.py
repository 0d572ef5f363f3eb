"""What a click drew reaches the browser, whatever else asks for a rerun just as the click's own run ends."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from streamlit import runtime
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

from pages.shared.streamlit_repairs import reruns
from pages.shared.streamlit_repairs.reruns import deliver_output_before_rerun

SCRIPT = """
import streamlit as st

st.session_state.setdefault("number", 0)

def show():
    st.session_state.number += 1
    st.text(f"output {st.session_state.number}")

st.fragment(show)()
st.fragment(show)()
"""


@pytest.fixture
def session_script(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(AppSession, "_create_scriptrunner", AppSession._create_scriptrunner)  # restored afterwards
    monkeypatch.setattr(runtime, "get_instance", MagicMock())
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def run(steps) -> None:
    with ThreadPoolExecutor(1) as thread:  # in this one, Playwright's loop may be running
        thread.submit(asyncio.run, asyncio.wait_for(steps, 60)).result()


def new_session(script: Path) -> AppSession:
    return AppSession(
        ScriptData(str(script), is_hello=False),
        MemoryUploadedFileManager("/upload"),
        ScriptCache(),
        message_enqueued_callback=None,
        user_info={},
    )


async def until_idle(session: AppSession) -> None:
    while session._scriptrunner is not None:
        await asyncio.sleep(0.001)


def wait_until_it_takes_no_more(runner: ScriptRunner) -> None:
    """Wait in the event loop's own thread, so that the loop handles nothing of what the runner posts meanwhile."""
    while runner._requests._state != ScriptRequestType.STOP:
        runner._script_thread.join(0.001)


async def session_whose_click_ends(script: Path) -> tuple[AppSession, str]:
    """A session whose run for a click has just ended, with nothing of it handled yet; and its other fragment."""
    deliver_output_before_rerun()
    session = new_session(script)
    session.request_rerun(ClientState())
    await until_idle(session)
    assert outputs(session) == ["output 1", "output 2"]
    click, timer = session._fragment_storage._fragments
    session.request_rerun(ClientState(fragment_id=click))
    wait_until_it_takes_no_more(session._scriptrunner)
    return session, timer


def outputs(session: AppSession) -> list[str]:
    """The texts that the browser has been sent since the last call."""
    messages = session.flush_browser_queue()
    return [m.delta.new_element.text.body for m in messages if m.delta.new_element.HasField("text")]


def test_a_request_as_the_run_before_it_ends_loses_none_of_its_output(session_script):
    """On a busy machine a selection in a chart beside a live line was now and then without effect."""

    async def steps() -> None:
        session, timer = await session_whose_click_ends(session_script)
        session.request_rerun(ClientState(fragment_id=timer, is_auto_rerun=True))
        await asyncio.sleep(0)
        await until_idle(session)
        assert outputs(session) == ["output 3", "output 4"]

    run(steps())


def test_requests_are_taken_in_the_order_in_which_they_came(session_script):
    """The later one holds the newer values of the page's widgets."""

    async def steps() -> None:
        session, timer = await session_whose_click_ends(session_script)
        session.request_rerun(ClientState(fragment_id=timer, query_string="first"))
        session.request_rerun(ClientState(query_string="second"))
        await asyncio.sleep(0)
        await until_idle(session)
        assert session._client_state.query_string == "second"

    run(steps())


def test_a_session_that_has_ended_starts_nothing(session_script, monkeypatch):
    async def steps() -> None:
        session, timer = await session_whose_click_ends(session_script)
        started: list[object] = []
        monkeypatch.setattr(reruns, "_start", lambda session, request: started.append(request))
        session.request_rerun(ClientState(fragment_id=timer))
        session.shutdown()
        await until_idle(session)
        assert not reruns._waiting[session]
        assert not started

    run(steps())


def test_a_thread_that_cannot_start_is_said_in_the_browser(session_script, monkeypatch):
    async def steps() -> None:
        session, timer = await session_whose_click_ends(session_script)
        monkeypatch.setattr(reruns, "_start", MagicMock(side_effect=RuntimeError("can't start new thread")))
        session.request_rerun(ClientState(fragment_id=timer))
        await until_idle(session)
        errors = [m.delta.new_element.exception.message for m in session.flush_browser_queue()]
        assert "can't start new thread" in errors

    run(steps())
