"""The story and a run of one's own, as a visitor lives them: pressed, watched, held, left and come back to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.e2e

SOON = 30_000  # ms: the page answers
WORKER = 240_000  # ms: a worker starts (it imports PyTorch) and an epoch ends, on a machine that does other things too
SMALL = {"Epochs": 5000, "Rounds an epoch": 4, "Steps a round": 2, "Images a step": 32, "Images kept an epoch": 32}


@pytest.fixture
def another(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """`another(url)`: a second visitor, in a browser profile of their own."""
    contexts = []

    def visit(url: str) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        page = contexts[-1].new_page()
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def left_in_order(lab) -> Iterator[None]:
    """A test that fails keeps its run going, and the next one's run would wait for it."""
    yield
    lab.stop_runs()


def chart(page: Page, name: str) -> Locator:
    """The chart whose key begins with the name."""
    return page.locator(f'[data-chart^="{name}"]')


# The points of the run's own IAcc line, in the chart whose key begins with a name; ghosts are not opaque.
POINTS = """name => document.querySelector(`[data-chart^="${name}"] .js-plotly-plot`)?._fullData
    ?.find(line => line.meta?.metric === 'IAcc' && line.opacity === 1)?._length ?? 0"""


def wait_for_points(page: Page, name: str, more_than: int = 0) -> int:
    """Until more accuracies than that are drawn; how many are."""
    page.wait_for_function(f"([name, many]) => ({POINTS})(name) > many", arg=[name, more_than], timeout=WORKER)
    return page.evaluate(POINTS, name)


def start_a_small_run(page: Page, url: str) -> str:
    """Through the form, with less to do; the run's id."""
    page.goto(f"{url}/distill?teacher=mnistm-badnet_sq-ntl")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled(timeout=WORKER)
    page.get_by_text("Advanced settings").click()
    for label, value in SMALL.items():
        field = page.get_by_role("spinbutton", name=re.compile(f"^{label} ")).first
        field.fill(str(value))
        field.press("Enter")
    expect(page.get_by_text(f"{len(SMALL)} settings changed by hand")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"run=\w{8}"), timeout=SOON)
    return re.search(r"run=(\w{8})", page.url).group(1)


def status(page: Page, word: str) -> Locator:
    """The run's status in the page's own head, not in the queue beside it."""
    return page.get_by_test_id("stMain").locator(".atesc-chip", has_text=word).first


def test_a_run_is_started_watched_held_left_and_come_back_to(page: Page, lab, another):
    run = start_a_small_run(page, lab.url)
    first = wait_for_points(page, "accuracy")
    page.evaluate("window.node = document.querySelector('[data-chart^=accuracy] .main-svg')")
    wait_for_points(page, "accuracy", first)
    assert page.evaluate("window.node === document.querySelector('[data-chart^=accuracy] .main-svg')")
    expect(page.locator(".atesc-picture")).to_have_count(32, timeout=SOON)
    expect(page.locator(".atesc-picture > i").first).to_have_attribute("title", re.compile("sure · min ε .*"))

    page.get_by_role("button", name="Pause").click()
    expect(status(page, "paused")).to_be_visible(timeout=SOON)
    held = page.get_by_text("Trace of one turn")
    expect(held).to_be_visible(timeout=SOON)

    page.reload()
    expect(status(page, "paused")).to_be_visible(timeout=SOON)
    second = another(f"{lab.url}/distill?run={run}")
    expect(status(second, "paused")).to_be_visible(timeout=SOON)
    seen = wait_for_points(second, "accuracy")
    assert wait_for_points(page, "accuracy") == seen

    page.get_by_role("button", name="Resume").click()
    expect(status(page, "running")).to_be_visible(timeout=WORKER)
    wait_for_points(second, "accuracy", seen)  # the second visitor's page follows by itself

    second.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=SOON)


def test_the_dragged_line_is_applied_to_the_running_run(page: Page, lab):
    start_a_small_run(page, lab.url)
    wait_for_points(page, "accuracy")
    wait_for_points(page, "accuracy", 1)
    line = chart(page, "scores").get_by_role("slider")
    line.scroll_into_view_if_needed()
    line.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    apply = page.get_by_role("button", name="Apply to this run")
    expect(apply).to_be_enabled(timeout=SOON)
    put = float(line.get_attribute("aria-valuenow"))  # until it was touched, the run itself could move it
    apply.click()
    expect(page.get_by_text(re.compile(f"threshold {put:.1f}.*by hand"))).to_be_visible(timeout=WORKER)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible(timeout=WORKER)


def test_the_story_is_told_live(page: Page, lab, another):
    page.goto(lab.url)
    page.get_by_role("button", name="Run the story live").click(timeout=WORKER)
    page.wait_for_url(re.compile("story=story-"), timeout=SOON)
    expect(page.get_by_text("The first accuracies come after the first epoch.")).to_be_visible(timeout=SOON)
    expect(page.get_by_text(re.compile(r"The plain student after epoch \d+: "))).to_be_visible(timeout=WORKER)
    seen = wait_for_points(page, "story-plain")
    expect(page.locator(".atesc-picture").first).to_be_visible(timeout=SOON)

    page.reload()
    assert wait_for_points(page, "story-plain") >= seen
    second = another(page.url)
    assert wait_for_points(second, "story-plain") >= seen

    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    for visitor in (page, second):  # stopped, or done just before
        expect(visitor.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)).to_have_count(
            0, timeout=WORKER
        )
        expect(visitor.get_by_text(re.compile(r"The plain student after epoch \d+: "))).to_be_visible(timeout=SOON)
