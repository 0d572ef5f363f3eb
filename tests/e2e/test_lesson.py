"""A lesson link: what a lecturer left on the page, in another browser, and nothing else around it."""

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


def present(page: Page) -> str:
    """Press Present; then the link that the corner's button copies."""
    page.get_by_role("button", name="Present", exact=True).click()
    page.wait_for_url(re.compile("projector=1"))
    stands_alone(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url
    return link


def stands_alone(page: Page) -> None:
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    expect(page.locator(".st-key-run_picker")).to_be_hidden()


def test_the_split_as_it_was_left(page: Page, lab, run_id: str, visitor: Callable[[str], Page]):
    page.goto(f"{lab.url}/robustness?run={run_id}")
    wait_for_chart(page, "scores")
    page.get_by_role("spinbutton").fill("6.5")
    page.get_by_role("spinbutton").press("Enter")
    expect(chart(page, "scores").get_by_role("slider")).to_have_attribute("aria-valuenow", "6.5")
    area = chart(page, "scores").locator(".nsewdrag").first.bounding_box()
    from_one = (
        chart(page, "scores")
        .locator(".js-plotly-plot")
        .evaluate(
            "plot => plot.getBoundingClientRect().x + plot._fullLayout.xaxis._offset + plot._fullLayout.xaxis.d2p(1.1)"
        )
    )
    page.mouse.move(from_one, area["y"] + 0.8 * area["height"])  # the bars right of min ε = 1
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 2, area["y"] + 0.8 * area["height"], steps=8)
    page.mouse.up()
    expect(gallery_images(page, "wall selected").first).to_be_visible()
    page.wait_for_url(re.compile("picked="))
    wait_for_chart(page, "scores")
    many = gallery_images(page, "wall selected").count()
    assert 0 < many < IMAGES

    other = visitor(present(page))
    wait_for_chart(other, "scores")
    stands_alone(other)
    expect(chart(other, "scores").get_by_role("slider")).to_have_attribute("aria-valuenow", "6.5")
    expect(gallery_images(other, "wall selected")).to_have_count(many)
    expect(other.get_by_role("link", name="Use 6.50 for the next run")).to_be_hidden()
    other.get_by_role("button", name="Show controls").click()
    expect(other.get_by_test_id("stSidebar")).to_be_visible()
    expect(other.get_by_role("link", name="Use 6.50 for the next run")).to_have_count(1)  # two while a page is redrawn
    expect(chart(other, "scores").get_by_role("slider")).to_have_attribute("aria-valuenow", "6.5")
    other.locator(".st-key-menu").get_by_role("link", name="Domains").click()
    other.wait_for_url(re.compile("/domains$"))  # nothing of the other page comes along


def test_the_map_as_it_was_left(page: Page, lab, run_id: str, visitor: Callable[[str], Page]):
    page.goto(f"{lab.url}/embedding?run={run_id}&epoch=1&threshold=9.5")
    wait_for_chart(page, "map")
    for radio, says in (("Class", "colour=class"), ("Points", "ground=points")):
        page.get_by_role("radio", name=radio, exact=True).click()
        page.wait_for_url(re.compile(says))
        wait_for_chart(page, "map")
    lasso_all(page)
    expect(gallery_images(page, "wall map")).to_have_count(IMAGES)
    page.wait_for_url(re.compile("picked="))

    other = visitor(present(page))
    wait_for_chart(other, "map")
    stands_alone(other)
    expect(gallery_images(other, "wall map")).to_have_count(IMAGES)
    wait_for_selected_points(other, "map", IMAGES)
    assert selected_points(other, "map") == {f"1:{index}" for index in range(IMAGES)}
    seen = "plot => plot.data.map(trace => [trace.name, trace.x.length])"
    there, here = (chart(one, "map").locator(".js-plotly-plot").evaluate(seen) for one in (other, page))
    assert there == here  # the class colours, the real images as points
    assert {"ID validation", "OOD validation"} <= {name for name, _ in there}
