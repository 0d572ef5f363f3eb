"""An error that no page has caught is a sentence."""

from __future__ import annotations

import pytest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from pages.shared.data import story
from pages.shared.ui.run_labels import method_name
from pages.shared.ui.uncaught_errors import show_error
from tests.support.labs import tiny_spec
from tests.support.pages import page_text


@pytest.fixture(autouse=True)
def as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest knows no ``st.App``: give its runner the handler that app.py gives the server's."""
    make = LocalScriptRunner.__init__

    def make_with_handler(self: LocalScriptRunner, *values: object, **more: object) -> None:
        make(self, *values, **more)
        self._on_script_error = show_error

    monkeypatch.setattr(LocalScriptRunner, "__init__", make_with_handler)


def test_the_server_has_the_handler():
    import app

    assert app.app._on_script_error is show_error


def broken(*_: object) -> None:
    raise RuntimeError("**broken** on purpose")


def test_a_page_that_breaks_says_so_in_a_sentence(open_page, store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(story, "latest_group", broken)
    app = open_page("start")
    assert "This page stopped at an error (RuntimeError)." in app.error[0].value
    assert "Reload the page." in app.error[0].value
    assert "broken" not in app.error[0].value
    log = store.runs_dir / "atesc-lab-errors.log"
    assert f"report the last entry of {log}" in app.error[0].value
    assert "RuntimeError: **broken** on purpose" in log.read_text()
    assert not app.exception  # no traceback


def test_a_fragment_that_breaks_says_so_where_it_stands(open_page, store, monkeypatch: pytest.MonkeyPatch):
    store.create(tiny_spec())
    monkeypatch.setattr(f"pages.start.latest_runs.{method_name.__name__}", broken)
    app = open_page("start")
    assert "This page stopped at an error (RuntimeError)." in app.error[0].value
    assert not app.exception
    assert "This machine" in page_text(app)
