"""An error that no page has caught is a sentence, and a test of any page still notices it."""

from __future__ import annotations

import pytest

from pages.shared.data import story
from pages.shared.ui.run_labels import method_name
from tests.support.labs import tiny_spec
from tests.support.pages import page_text


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
    assert [error.message for error in app.exception] == ["**broken** on purpose"]  # drawn for tests only


def test_a_fragment_that_breaks_says_so_where_it_stands(open_page, store, monkeypatch: pytest.MonkeyPatch):
    store.create(tiny_spec())
    monkeypatch.setattr(f"pages.start.latest_runs.{method_name.__name__}", broken)
    app = open_page("start")
    assert "This page stopped at an error (RuntimeError)." in app.error[0].value
    assert len(app.exception) == 1
    assert "This machine" in page_text(app)
