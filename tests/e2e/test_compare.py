"""Ticked runs are in the link, which shows them in another browser; and curves grow under a user's zoom."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from atesc_core.runs import RunStore
from atesc_core.runs.log import RunLog
from tests.support.browser import wait_until_idle
from tests.support.labs import logged_run
from tests.support.server import LabServer

pytestmark = pytest.mark.e2e

BOX = (16, 54)  # px from the list's corner to the box of its first row
ROW = 35  # px


@pytest.fixture(scope="module")
def runs(lab: LabServer) -> list[str]:
    """Newest first, as they are listed."""
    store = RunStore(lab.runs_dir)
    ids = [logged_run(store, (50, 90), (60, 10 * seed), seed=seed) for seed in (0, 1, 2)]
    store.close()
    return ids[::-1]


def spec_row(page: Page) -> str:
    return page.locator(".atesc-table tbody tr").first.inner_text()


def test_ticked_runs_are_in_the_link(lab: LabServer, runs: list[str], page: Page, visitor: Callable[[str], Page]):
    page.goto(f"{lab.url}/compare?smoothing=0.5")
    expect(page.locator(".atesc-table").first).to_contain_text("3")
    grid = page.locator(".stDataFrameGlideDataEditor").first
    listed = grid.locator("tbody tr")  # what a screen reader is told, once the grid is drawn and takes a click
    for row in (0, 2):
        expect(listed).to_have_count(3)
        wait_until_idle(page)  # a grid that is being redrawn takes no click
        grid.click(position={"x": BOX[0], "y": BOX[1] + ROW * row})
        expect(listed.nth(row)).to_have_attribute("aria-selected", "true")
        page.wait_for_url(re.compile(rf"runs=.*{runs[row]}"))
    expect(page.locator(".atesc-table tbody td").nth(2)).to_have_text("2")
    assert "10.0 ± 14.1" in spec_row(page)
    elsewhere = visitor(page.url)
    expect(elsewhere.locator(".atesc-table tbody td").nth(2)).to_have_text("2")
    assert spec_row(elsewhere) == spec_row(page)
    expect(elsewhere.get_by_role("slider", name="Smoothing")).to_have_value("0.5")


UPDATES = 10
# x range, and how many epochs the longest line has, of the page's chart
SEEN = """() => {
  const plot = document.querySelector("[data-chart=compare] .js-plotly-plot");
  const lines = plot._fullData.filter(trace => trace.meta?.quantity === "iacc" && trace.x.length);
  return { range: plot._fullLayout.xaxis.range.slice(), epochs: Math.max(...lines.map(trace => trace.x.length)),
           lines: lines.length };
}"""


def test_zoom_outlives_ten_epochs_of_a_growing_run(serve, page: Page):
    """The bug: the chart's revision held what each line says, its last value too, so that every epoch took the zoom."""
    lab = serve()
    store = RunStore(lab.runs_dir)
    plain = logged_run(store, (50, 90), (60, 80), (62, 70), escape="none", epochs=40)
    growing = logged_run(store, (40, 90), (45, 60), status="paused", epochs=40)
    waiting = logged_run(store, status="paused", epochs=40, escape="ckd")
    page.goto(f"{lab.url}/compare?runs={plain},{growing},{waiting}")
    chart = page.locator("[data-chart=compare]")
    chart.locator(".main-svg").first.wait_for()
    page.evaluate("window.node = document.querySelector('[data-chart=compare] .main-svg')")
    area = chart.locator(".nsewdrag").first.bounding_box()
    y = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 0.02 * area["width"], y)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.3 * area["width"], y, steps=8)
    page.mouse.up()
    page.wait_for_function(f"before => JSON.stringify(({SEEN})().range) !== before", arg="[0.5,40.5]")
    zoomed = page.evaluate(SEEN)["range"]
    assert zoomed[1] - zoomed[0] < 20

    log = RunLog(store, store.get(growing))
    for update in range(1, UPDATES + 1):
        log.write_round(2 + update, 2, 10, {"s/total": 1.0}, None, None)
        log.write_epoch(2 + update, 10, {"iacc": 45 + update, "asr": 20})
        page.wait_for_function(f"epochs => ({SEEN})().epochs === epochs", arg=2 + update)
        assert page.evaluate(SEEN)["range"] == zoomed, f"update {update}"
        if update % 4 == 0:
            expect(page.get_by_role("cell", name=f"{45 + update}.0", exact=True)).to_be_visible()  # drawn on its own
            with page.expect_download() as download:
                page.get_by_role("button", name="CSV", exact=True).click()
            table = pd.read_csv(download.value.path())
            assert 45 + update in table["iacc"].tolist(), "a press while a run goes on takes the table shown"
    RunLog(store, store.get(waiting)).write_epoch(1, 10, {"iacc": 30, "asr": 20})  # a third line: the whole page runs
    page.wait_for_function(f"() => ({SEEN})().lines === 3")
    assert page.evaluate(SEEN)["range"] == zoomed
    assert page.evaluate("window.node === document.querySelector('[data-chart=compare] .main-svg')")
    store.close()
