"""Widgets that show what the page says: a page that is drawn again leaves alone what the browser shows already."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.labs import Lab
from tests.support.pages import PAGE_NAMES, widgets


def set_by_page(app: AppTest) -> list[str]:
    """Labels of the widgets whose value the last run of the page sent to the browser, except disabled ones."""
    sent = [widget.proto for widget in widgets(app) if getattr(widget.proto, "set_value", False)]
    return [proto.label for proto in sent if not proto.disabled]


@pytest.mark.parametrize("page", PAGE_NAMES)
@pytest.mark.usefixtures("report", "finished_run")
def test_a_page_drawn_again_moves_no_widget(page: str, open_page, lab_with_runs: Lab):
    """The epoch slider was sent its value at every redraw: an arrow key pressed at the wrong moment was undone, and the
    page's timer then told the server so."""
    app = open_page(page, run=lab_with_runs.atesc, second=lab_with_runs.plain)
    app.run()
    assert not app.exception
    assert set_by_page(app) == []


@pytest.mark.usefixtures("report", "finished_run")
def test_what_the_page_sets_is_sent(open_page, lab_with_runs: Lab):
    app = open_page("embedding", run=lab_with_runs.atesc, second=lab_with_runs.plain)
    app.run()
    app.session_state[f"embedding epoch {lab_with_runs.atesc}"] = 1
    app.run()
    assert set_by_page(app) == ["Epoch"]
    assert app.select_slider[0].value == 1
