"""Ticked runs are in the link, and the link shows them in another browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from atesc_core.runs import RunStore
from tests.e2e.conftest import Lab
from tests.pages.test_compare import logged

pytestmark = pytest.mark.e2e

BOX = (16, 54)  # px from the list's corner to the box of its first row
ROW = 35  # px


@pytest.fixture(scope="module")
def runs(lab: Lab) -> list[str]:
    """Newest first, as they are listed."""
    store = RunStore(lab.runs_dir)
    ids = [logged(store, (50, 90), (60, 10 * seed), seed=seed) for seed in (0, 1, 2)]
    store.close()
    return ids[::-1]


def spec_row(page: Page) -> str:
    return page.locator(".atesc-table tbody tr").first.inner_text()


def test_ticked_runs_are_in_the_link(lab: Lab, runs: list[str], page: Page, browser: Browser):
    page.goto(f"{lab.url}/compare?smoothing=0.5")
    expect(page.locator(".atesc-table").first).to_contain_text("3")
    grid = page.locator(".stDataFrameGlideDataEditor").first
    for row in (0, 2):
        grid.click(position={"x": BOX[0], "y": BOX[1] + ROW * row})
        page.wait_for_url(re.compile(rf"runs=.*{runs[row]}"))
    expect(page.locator(".atesc-table tbody td").nth(2)).to_have_text("2")
    assert "10.0 ± 14.1" in spec_row(page)
    elsewhere = browser.new_context().new_page()
    elsewhere.goto(page.url)
    expect(elsewhere.locator(".atesc-table tbody td").nth(2)).to_have_text("2")
    assert spec_row(elsewhere) == spec_row(page)
    expect(elsewhere.get_by_role("slider", name="Smoothing")).to_have_value("0.5")
    elsewhere.context.close()
