"""A figure that takes long: it can be stopped, and takes no other with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import psutil
import pytest

from atesc_core import figures
from atesc_core.errors import RenderError
from atesc_core.figures.export import browser, sheet
from atesc_core.figures.export.drawing import start_drawing
from atesc_core.figures.export.sheet import Sheet
from atesc_core.jobs import ThreadJob
from tests.support.figure_labs import drawing_browsers

SECONDS = 60


def a_map(points: int):
    random = np.random.default_rng(0)
    ground = pd.DataFrame(random.normal(size=(20, 2)), columns=["x", "y"]).assign(domain="id")
    synthetic = pd.DataFrame(random.normal(size=(points, 2)), columns=["x", "y"]).assign(
        id=range(points), fragile=np.arange(points) % 2 == 0
    )
    return figures.embedding(ground, synthetic, "print")


@pytest.fixture(scope="module")
def large():
    """Far more than the browser draws while a test looks."""
    return a_map(200_000)


def in_the_browser(large) -> tuple[ThreadJob[Sheet], list[psutil.Process]]:
    """It is being drawn, by these processes."""
    sheet.draw_sheet(a_map(10))
    drawing = start_drawing("large", lambda stop: sheet.draw_sheet(large, stop=stop))
    while not browser._browser._waiting:
        drawing.wait(0.01)
        assert drawing.state == "running"
    return drawing, drawing_browsers()


def test_it_comes_as_it_does_without_a_thread():
    drawing = start_drawing("small", lambda stop: sheet.draw_sheet(a_map(10), stop=stop))
    drawing.wait(SECONDS)
    assert drawing.state == "done"
    drawn, other = drawing.result(), sheet.draw_sheet(a_map(10))
    assert (drawn.text, drawn.width, drawn.height, drawn.title) == (other.text, other.width, other.height, other.title)
    assert drawn.body.count("<path") == other.body.count("<path") > 0


def test_stopped_it_computes_no_more_and_can_begin_again(large):
    drawing, busy = in_the_browser(large)
    drawing.stop()
    assert drawing.state == "stopped"
    drawing.wait(SECONDS)
    with pytest.raises(RuntimeError, match="stopped; expected done"):
        drawing.result()
    _, alive = psutil.wait_procs(busy, timeout=SECONDS)
    assert not alive
    drawing = start_drawing("large", lambda stop: sheet.draw_sheet(a_map(10), stop=stop))
    drawing.wait(SECONDS)
    assert drawing.state == "done"


def test_what_others_draw_meanwhile_still_comes(large):
    drawing, _ = in_the_browser(large)
    other = start_drawing("other", lambda stop: sheet.draw_sheet(a_map(10), stop=stop))
    while len(browser._browser._waiting) < 2:
        other.wait(0.01)
        assert other.state == "running"
    drawing.stop()
    other.wait(SECONDS)
    assert other.state == "done"


def test_a_failure_is_told_where_the_sheet_is_asked_for():
    def fail(stop):
        raise RenderError("figure: no")

    drawing = start_drawing("failing", fail)
    drawing.wait(SECONDS)
    assert drawing.state == "failed"
    with pytest.raises(RenderError, match="figure: no"):
        drawing.result()
    drawing.stop()
    assert drawing.state == "failed", "what has ended is not stopped"
