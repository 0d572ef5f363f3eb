"""Actions and waits in a real browser. Every wait ends when the page shows the result, never after a fixed time."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

TIMEOUT_MS = 60_000  # limit for any reaction of a page, on a machine that is busy with a run
WORKER_MS = 240_000  # limit for a worker to start, import PyTorch and finish an epoch on such a machine
WINDOW = {"width": 1280, "height": 900}
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def wait_until_idle(page: Page) -> None:
    """Wait until the page's script has finished, because its elements arrive one after the other."""
    expect(page.locator("[data-test-script-state]")).to_have_attribute("data-test-script-state", "notRunning")


def chart(page: Page, key: str) -> Locator:
    return page.locator(f'[data-chart="{key}"]')


def wait_for_chart(page: Page, key: str) -> None:
    """Wait until the chart is drawn and the script idle."""
    chart(page, key).locator(".main-svg").first.wait_for()
    wait_until_idle(page)


def drag(page: Page, start: tuple[float, float], *stops: tuple[float, float]) -> None:
    """Drag the mouse from ``start`` over the ``stops``. Positions are (x, y) in px of the page."""
    page.mouse.move(*start)
    page.mouse.down()
    for stop in stops:
        page.mouse.move(*stop, steps=5)
    page.mouse.up()


def hold_key(page: Page, key: str, count: int) -> None:
    """Hold a key until it has repeated ``count`` times, then release it. Only then the threshold reports its value."""
    for _ in range(count):
        page.keyboard.down(key)
    page.keyboard.up(key)


def lasso_all(page: Page, key: str = "map") -> None:
    """Draw a lasso around the whole plot area of a chart."""
    area = chart(page, key).locator(".nsewdrag").first.bounding_box()
    left, right = area["x"] + 4, area["x"] + area["width"] - 4
    top, bottom = area["y"] + 4, area["y"] + area["height"] - 4
    drag(page, (left, top), (right, top), (right, bottom), (left, bottom), (left, top))


def selected_points(page: Page, key: str) -> set[str]:
    """Ids of the points that Plotly draws as selected."""
    return set(
        chart(page, key)
        .locator(".js-plotly-plot")
        .evaluate(
            "plot => plot._fullData.flatMap(t => (t.selectedpoints ?? []).map(at => [t.customdata[at]].flat()[0]))"
        )
    )


def wait_for_selected_points(page: Page, key: str, count: int) -> None:
    """Wait until Plotly draws ``count`` points as selected."""
    page.wait_for_function(
        "([key, count]) => document.querySelector(`[data-chart='${key}'] .js-plotly-plot`)?._fullData"
        "?.flatMap(trace => trace.selectedpoints ?? []).length === count",
        arg=[key, count],
    )


def gallery_images(page: Page, key: str) -> Locator:
    """The images of a clickable gallery."""
    return page.locator(f'[data-gallery="{key}"] button')


def status_chip(page: Page, status: str) -> Locator:
    """The run's status in the page's main area, not in the queue of the sidebar."""
    return page.get_by_test_id("stMain").locator(".atesc-chip", has_text=status).first


# Number of points of the run's IAcc curve, in the chart whose key starts with a prefix. Earlier runs are translucent.
ACCURACY_POINTS = """prefix => document.querySelector(`[data-chart^="${prefix}"] .js-plotly-plot`)?._fullData
    ?.find(line => line.meta?.metric === 'IAcc' && line.opacity === 1)?._length ?? 0"""


def wait_for_accuracies(page: Page, prefix: str, more_than: int = 0) -> int:
    """Wait until a chart draws more than ``more_than`` accuracies; return their number."""
    page.wait_for_function(
        f"([prefix, count]) => ({ACCURACY_POINTS})(prefix) > count", arg=[prefix, more_than], timeout=WORKER_MS
    )
    return page.evaluate(ACCURACY_POINTS, prefix)
