"""The line in a real browser: counts, histogram and galleries follow it, without a run of the whole page."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.support.browser import TIMEOUT_MS, chart, wait_until_idle

pytestmark = pytest.mark.e2e


@pytest.fixture
def reruns(page: Page) -> list[bool]:
    """A truth value for each run of the script that came to its end: whether the whole page ran.

    A fragment's run that a newer one cuts short (FINISHED_EARLY_FOR_RERUN) is not counted: the newer one is.
    """
    ended_runs: list[bool] = []

    def hear(frame: bytes | str) -> None:
        message = ForwardMsg.FromString(frame) if isinstance(frame, bytes) else ForwardMsg()
        ended = message.script_finished if message.WhichOneof("type") == "script_finished" else None
        if ended in (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
            ended_runs.append(ended == ForwardMsg.FINISHED_SUCCESSFULLY)

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    return ended_runs


def wait_for_rerun(page: Page, reruns: list[bool]) -> None:
    """Wait until a run of the script has come to its end."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not reruns:
        assert time.monotonic() < deadline, "the script did not run"
        page.wait_for_timeout(20)  # Playwright hears the server's messages only while it waits


@pytest.fixture
def here(page: Page, lab, run_id: str, reruns: list[bool]) -> Page:
    page.goto(f"{lab.url}/robustness?run={run_id}")
    for name in ("scores", "sides"):
        chart(page, name).locator(".main-svg").first.wait_for()
    wait_until_idle(page)
    reruns.clear()
    return page


def bars(page: Page) -> dict[str, int]:
    """group -> images in the histogram's bars."""
    return (
        chart(page, "scores")
        .locator(".js-plotly-plot")
        .evaluate(
            "plot => Object.fromEntries(plot._fullData.filter(t => t.type === 'bar').map(t => "
            "[t.meta.group, Array.from(t.y).reduce((a, b) => a + b, 0)]))"
        )
    )


def tile(page: Page, label: str) -> Locator:
    return page.locator(".atesc-tile").filter(has=page.get_by_text(label, exact=True))


def fragile_count(page: Page) -> int:
    return int(re.search(r"(\d+) of 32", tile(page, "Fragile").inner_text())[1])


def nearest(page: Page, group: str) -> list[str]:
    """The scores under a gallery's pictures."""
    card = page.locator("[data-testid=stVerticalBlock]").filter(has=page.get_by_text(group, exact=True)).last
    return card.locator(".atesc-picture span").all_inner_texts()


def test_dropping_the_line_updates_everything_in_one_fragment(here: Page, reruns: list[bool]):
    before, gallery, count = bars(here), nearest(here, "Fragile"), fragile_count(here)
    assert before["fragile"] == count
    line = chart(here, "scores").get_by_role("slider")
    area = chart(here, "scores").locator(".nsewdrag").first.bounding_box()
    grip = line.bounding_box()
    y = grip["y"] + grip["height"] / 2
    here.mouse.move(grip["x"] + grip["width"] / 2, y)
    here.mouse.down()
    here.mouse.move(area["x"] + 0.55 * area["width"], y, steps=8)
    assert fragile_count(here) == count  # nothing is asked of the server while the line is dragged
    here.mouse.up()
    expect(tile(here, "Fragile")).not_to_contain_text(f"{count} of 32")
    wait_until_idle(here)
    now = fragile_count(here)
    here.wait_for_function(
        "count => document.querySelector('[data-chart=scores] .js-plotly-plot')?._fullData"
        ".filter(t => t.type === 'bar' && t.meta.group === 'fragile')"
        ".every(t => Array.from(t.y).reduce((a, b) => a + b, 0) === count)",
        arg=now,
    )
    assert bars(here) == {"fragile": now, "robust": 32 - now}
    assert now > count
    assert nearest(here, "Fragile") != gallery
    expect(chart(here, "sides").locator(".legendtext").first).to_have_text(f"{now} fragile")
    dropped = float(line.get_attribute("aria-valuenow"))
    expect(here.get_by_role("spinbutton")).to_have_value(f"{dropped:.1f}")
    wait_for_rerun(here, reruns)
    assert not any(reruns), "the whole page ran again"


def test_typing_the_line_moves_the_one_in_the_picture(here: Page, reruns: list[bool]):
    here.get_by_role("spinbutton").fill("12.5")
    here.get_by_role("spinbutton").press("Enter")
    expect(chart(here, "scores").get_by_role("slider")).to_have_attribute("aria-valuenow", "12.5")
    wait_until_idle(here)
    wait_for_rerun(here, reruns)
    assert not any(reruns), "the whole page ran again"


def test_the_line_goes_into_the_next_runs_form(here: Page):
    here.get_by_role("spinbutton").fill("6.5")
    here.get_by_role("spinbutton").press("Enter")
    expect(chart(here, "scores").get_by_role("slider")).to_have_attribute("aria-valuenow", "6.5")
    here.get_by_role("link", name="Use 6.50 for the next run").click()  # it says so once the server knows
    expect(here.get_by_role("heading", name="Distill")).to_be_visible()
    expect(here.get_by_text("split.threshold=6.5")).to_be_visible()
