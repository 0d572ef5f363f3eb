"""One selection in a real browser: lasso on the map, its pictures, one of them closely, and all of it elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import (
    chart,
    gallery_images,
    lasso_all,
    selected_points,
    wait_for_chart,
    wait_for_selected_points,
)
from tests.support.labs import SMALL

pytestmark = pytest.mark.e2e
IMAGES = SMALL["snapshot_images"]


def test_lasso_gallery_inspector_and_another_browser(page: Page, lab, run_id: str, visitor: Callable[[str], Page]):
    page.goto(f"{lab.url}/embedding?run={run_id}")
    wait_for_chart(page, "map")
    expect(gallery_images(page, "wall map")).to_have_count(0)
    lasso_all(page)
    expect(gallery_images(page, "wall map")).to_have_count(IMAGES)
    assert selected_points(page, "map") == {f"2:{index}" for index in range(IMAGES)}

    gallery_images(page, "wall map").nth(5).click()
    expect(page.get_by_text("Image 5", exact=True)).to_be_visible()
    expect(gallery_images(page, "wall map").nth(5)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text(re.compile("difference × \\d+"))).to_be_visible()
    for who in ("teacher", "student"):
        wait_for_chart(page, f"said {who}")
        assert chart(page, f"said {who}").locator(".js-plotly-plot").evaluate("plot => plot.data.length") == 2
    expect(page.get_by_text("Nearest real OOD")).to_be_in_viewport()
    assert selected_points(page, "map") == {f"2:{index}" for index in range(IMAGES)}, "the inspector took the lasso"

    page.wait_for_url(re.compile("picked=.*image=5|image=5.*picked="))
    other = visitor(page.url)
    expect(other.get_by_text("Image 5", exact=True)).to_be_visible()
    expect(gallery_images(other, "wall map")).to_have_count(IMAGES)
    wait_for_chart(other, "map")
    wait_for_selected_points(other, "map", IMAGES)


def drag_right_of_the_line(page: Page) -> None:
    area = chart(page, "scores").locator(".nsewdrag").first.bounding_box()
    low = chart(page, "scores").get_by_role("slider").bounding_box()
    y = area["y"] + 0.8 * area["height"]
    page.mouse.move(low["x"] + low["width"] + 12, y)  # from the line to the right: a part of the robust group
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 2, y, steps=8)
    page.mouse.up()


def frame_right_of_the_line(page: Page) -> None:
    """The same without a mouse."""
    line = chart(page, "scores").get_by_role("slider").bounding_box()
    tool = chart(page, "scores").get_by_role("application")
    tool.focus()
    frame = tool.locator(".atesc-chart-frame")
    while frame.bounding_box()["x"] > line["x"] + line["width"] + 15:  # one step is ten pixels
        page.keyboard.press("ArrowLeft")
    for _ in range(50):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")


@pytest.mark.parametrize("select", [drag_right_of_the_line, frame_right_of_the_line])
def test_a_range_of_the_histogram_is_selected_on_the_map(page: Page, lab, run_id: str, select):
    page.goto(f"{lab.url}/robustness?run={run_id}")
    wait_for_chart(page, "scores")
    select(page)
    walled = gallery_images(page, "wall selected")
    expect(walled.first).to_be_visible()
    wait_for_chart(page, "scores")
    count = walled.count()
    assert 0 < count < IMAGES
    strokes = (
        chart(page, "scores")
        .locator(".js-plotly-plot")
        .evaluate("plot => plot.data.find(trace => trace.meta?.group === 'selected').customdata")
    )
    assert len(strokes) == count

    page.get_by_role("link", name="See them on the map").click()
    wait_for_chart(page, "map")
    expect(gallery_images(page, "wall map")).to_have_count(count)
    wait_for_selected_points(page, "map", count)
    assert selected_points(page, "map") == set(strokes)

    page.get_by_role("button", name="Clear", exact=True).click()
    expect(gallery_images(page, "wall map")).to_have_count(0)
    page.wait_for_function(
        "() => document.querySelector('[data-chart=map] .js-plotly-plot')?._fullData"
        ".every(trace => !trace.selectedpoints?.length)"
    )
    page.wait_for_url(re.compile("^(?!.*picked=)"))
