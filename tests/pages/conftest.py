"""Fixtures of the page tests: an empty lab, and a function that opens a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from atesc_core.runs import RunStore
from pages.shared.data.device import machine
from pages.shared.ui.uncaught_errors import show_error
from tests.support.batchnorm import save_batchnorm
from tests.support.labs import CONTROL, TEACHER
from tests.support.pages import go_to

APP = Path(__file__).parents[2] / "pages" / "main.py"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A new empty lab, which the app uses during the test. Queued runs do not start: there is no worker."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)
    save_batchnorm(tmp_path / "lab", TEACHER, CONTROL)
    return RunStore(tmp_path / "lab")


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Function that opens a page as a new visitor: `open_page("distill", run=ID)`."""

    def open_(name: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=120)
        go_to(app, name)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_


@pytest.fixture
def as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest knows no ``st.App``: give its runner the handler that app.py gives the server's."""
    make = LocalScriptRunner.__init__

    def make_with_handler(self: LocalScriptRunner, *values: object, **more: object) -> None:
        make(self, *values, **more)
        self._on_script_error = show_error

    monkeypatch.setattr(LocalScriptRunner, "__init__", make_with_handler)


@pytest.fixture(scope="session", autouse=True)
def device_known() -> None:
    """Find the machine's device once, before a test replaces the jobs."""
    machine()
