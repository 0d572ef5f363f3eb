"""The story and a run of one's own, as a visitor lives them: pressed, watched, held, left and come back to."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import WORKER_MS, hold_key, status_chip, wait_for_accuracies

pytestmark = pytest.mark.e2e

SMALL = {"Epochs": 5000, "Rounds an epoch": 4, "Steps a round": 2, "Images a step": 32, "Images kept an epoch": 32}


SAME_NODE = "window.node === document.querySelector('[data-chart^=accuracy] .main-svg')"


@pytest.fixture(autouse=True)
def left_in_order(lab) -> Iterator[None]:
    """A test that fails keeps its run going, and the next one's run would wait for it."""
    yield
    lab.stop_runs()


def chart(page: Page, name: str) -> Locator:
    """The chart whose key begins with the name."""
    return page.locator(f'[data-chart^="{name}"]')


def start_a_small_run(page: Page, url: str) -> str:
    """Through the form, with less to do; the run's id."""
    page.goto(f"{url}/distill?teacher=mnistm-badnet_sq-ntl")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled(timeout=WORKER_MS)
    page.get_by_text("Advanced settings").click()
    for label, value in SMALL.items():
        field = page.get_by_role("spinbutton", name=re.compile(f"^{label} ")).first
        field.fill(str(value))
        field.press("Enter")
    expect(page.get_by_text(f"{len(SMALL)} settings changed by hand")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"run=\w{8}"))
    return re.search(r"run=(\w{8})", page.url).group(1)


def test_a_run_is_started_watched_held_left_and_come_back_to(page: Page, lab, visitor):
    run = start_a_small_run(page, lab.url)
    chart(page, "accuracy").locator(".main-svg").first.wait_for()
    page.evaluate("window.node = document.querySelector('[data-chart^=accuracy] .main-svg')")
    first = wait_for_accuracies(page, "accuracy")
    wait_for_accuracies(page, "accuracy", first)
    assert page.evaluate(SAME_NODE), "the tiles of the first accuracies drew the chart below anew"
    expect(page.locator(".atesc-picture")).to_have_count(32)
    expect(page.locator(".atesc-picture > i").first).to_have_attribute("title", re.compile("sure · min ε .*"))

    page.get_by_role("button", name="Pause").click()
    expect(status_chip(page, "paused")).to_be_visible()
    trace = page.get_by_text("Trace of one turn")
    expect(trace).to_be_visible()
    assert page.evaluate(SAME_NODE), "the trace of a turn drew the chart below anew"

    page.reload()
    expect(status_chip(page, "paused")).to_be_visible()
    second = visitor(f"{lab.url}/distill?run={run}")
    expect(status_chip(second, "paused")).to_be_visible()
    count = wait_for_accuracies(second, "accuracy")
    assert wait_for_accuracies(page, "accuracy", count - 1) == count

    page.get_by_role("button", name="Resume").click()
    expect(status_chip(page, "running")).to_be_visible(timeout=WORKER_MS)
    wait_for_accuracies(second, "accuracy", count)  # the second visitor's page follows by itself

    second.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_the_dragged_line_is_applied_to_the_running_run(page: Page, lab):
    start_a_small_run(page, lab.url)
    wait_for_accuracies(page, "accuracy")
    wait_for_accuracies(page, "accuracy", 1)
    line = chart(page, "scores").get_by_role("slider")
    line.scroll_into_view_if_needed()
    line.focus()
    hold_key(page, "ArrowRight", 12)
    apply = page.get_by_role("button", name="Apply to this run")
    expect(apply).to_be_enabled()
    value = float(line.get_attribute("aria-valuenow"))  # until it was touched, the run itself could move it
    apply.click()
    expect(page.get_by_text(re.compile(f"threshold {value:.1f}.*by hand"))).to_be_visible(timeout=WORKER_MS)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible(timeout=WORKER_MS)


def test_the_story_is_told_live(page: Page, lab, visitor):
    page.goto(lab.url)
    page.get_by_role("button", name="Run the story live").click(timeout=WORKER_MS)
    page.wait_for_url(re.compile("story=story-"))
    expect(page.get_by_text("The first accuracies come after the first epoch.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"The plain student after epoch \d+: "))).to_be_visible(timeout=WORKER_MS)
    seen = wait_for_accuracies(page, "story-plain")
    expect(page.locator(".atesc-picture").first).to_be_visible()

    page.reload()
    assert wait_for_accuracies(page, "story-plain") >= seen
    second = visitor(page.url)
    assert wait_for_accuracies(second, "story-plain") >= seen

    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    for tab in (page, second):  # stopped, or done just before
        expect(tab.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)).to_have_count(
            0, timeout=WORKER_MS
        )
        expect(tab.get_by_text(re.compile(r"The plain student after epoch \d+: "))).to_be_visible()
