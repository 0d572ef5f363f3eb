"""An error that no page has caught is a sentence."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from atesc_core.runs import RunStore
from pages.shared.data import story
from pages.shared.ui.run_labels import method_name
from pages.shared.ui.uncaught_errors import LOG_NAME, show_error
from tests.support.labs import tiny_spec
from tests.support.pages import PAGE_NAMES, page_text

pytestmark = pytest.mark.usefixtures("as_served")


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


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_a_database_of_a_newer_version_is_a_sentence(open_page, tmp_path, monkeypatch: pytest.MonkeyPatch, page):
    """It was a traceback on every page."""
    RunStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path))
    app = open_page(page)
    assert not app.exception
    assert "runs.sqlite: was written by another version of this program (format 99" in app.error[0].value
    assert "use that version or choose another runs folder" in app.error[0].value
    assert not (tmp_path / LOG_NAME).exists()
