"""The students' side of a lasso, and a second run's map that a link brings to another browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from tests.support.browser import chart, gallery_images, lasso_all, wait_for_chart
from tests.support.labs import CONTROL, SMALL, tiny_spec
from tests.support.reports import save_report

pytestmark = pytest.mark.e2e
IMAGES = SMALL["snapshot_images"]


@pytest.fixture(scope="module")
def control_id(lab, run_id: str) -> str:
    """A finished run of the pair's SL teacher in the lab, that teacher measured."""
    store = RunStore(lab.runs_dir)
    control_id = store.create(tiny_spec("none", CONTROL))
    work(lab.runs_dir, "cpu")
    save_report(lab.runs_dir, CONTROL)
    store.close()
    return control_id


def epochs_of_students(page: Page) -> list[int]:
    """Of the selection's line in the students' curve."""
    return (
        chart(page, "agreement")
        .locator(".js-plotly-plot")
        .evaluate(
            "plot => [...plot._fullData.find(t => t.meta.images === 'chosen' && t.meta.series === 'agreement').x]"
        )
    )


def points_epoch(page: Page, name: str) -> set[str]:
    """Epochs of a map's synthetic images."""
    return set(
        chart(page, name)
        .locator(".js-plotly-plot")
        .evaluate(
            "plot => plot._fullData.flatMap(t => [...(t.customdata ?? [])].map(own => [own].flat()[0].split(':')[0]))"
        )
    )


def test_a_lasso_brings_the_students_curve_and_a_link_the_second_map(
    page: Page, lab, run_id: str, control_id: str, visitor: Callable[[str], Page]
):
    page.goto(f"{lab.url}/embedding?run={run_id}")
    wait_for_chart(page, "map")
    expect(chart(page, "agreement")).to_have_count(0)
    lasso_all(page)
    expect(gallery_images(page, "wall map")).to_have_count(IMAGES)
    expect(page.get_by_text(f"{IMAGES} selected of {IMAGES} synthetic images of epoch 2")).to_be_visible()
    chart(page, "agreement").locator(".main-svg").first.wait_for()
    # at first only what this epoch's student says, then, from a process of its own, what the other one says
    page.wait_for_function(
        "() => document.querySelector('[data-chart=agreement] .js-plotly-plot')?._fullData"
        ".find(t => t.meta.images === 'chosen')?.x.length === 2"
    )
    assert epochs_of_students(page) == [1, 2]

    page.get_by_text("Two maps", exact=True).click()
    wait_for_chart(page, "second map")
    page.wait_for_url(re.compile(f"second={control_id}"))
    wait_for_chart(page, "drift")
    assert [points_epoch(page, name) for name in ("map", "second map")] == [{"2"}, {"2"}]
    left, right = (chart(page, name).bounding_box() for name in ("map", "second map"))
    assert left["width"] == pytest.approx(right["width"], abs=2)
    assert left["width"] > 350  # at 1280 px
    expect(gallery_images(page, "wall map")).to_have_count(IMAGES)  # the second map took nothing from the first

    other = visitor(page.url)
    for name in ("map", "second map", "drift", "agreement"):
        wait_for_chart(other, name)
    expect(gallery_images(other, "wall map")).to_have_count(IMAGES)
    assert epochs_of_students(other) == [1, 2]

    # one control scrubs both
    other.get_by_role("slider", name="Epoch").press("ArrowLeft")
    for name in ("map", "second map"):
        other.wait_for_function(
            "name => document.querySelector(`[data-chart='${name}'] .js-plotly-plot`)?._fullData"
            ".some(t => [t.customdata?.[0]].flat()[0]?.startsWith('1:'))",
            arg=name,
        )
        assert points_epoch(other, name) == {"1"}
