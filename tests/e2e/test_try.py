"""Try it in a real browser: move the line, start the pair, watch the difference come, reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from atesc_core.runs import RunStore

pytestmark = pytest.mark.e2e


def test_a_threshold_is_tried_and_the_difference_comes(page: Page, lab, run_id: str):
    page.goto(f"{lab.url}/robustness?run={run_id}")
    page.locator('[data-chart="scores"] .main-svg').first.wait_for()
    # Until PyTorch has said what this machine is, nobody knows that the run's own epochs were made on it.
    expect(page.get_by_text("Asking PyTorch")).to_have_count(0)
    expect(page.get_by_test_id("stSidebar")).to_contain_text("cores")
    button = page.get_by_role("button", name="Try it")
    expect(button).to_be_disabled()
    line = page.get_by_role("spinbutton")
    line.fill("3.5")
    line.press("Enter")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text("Old: the run's own epoch 2, the same numbers.")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Only the threshold differs")).to_be_hidden()  # the form closes
    drawn = page.locator('[data-chart="try"] .main-svg').first
    drawn.wait_for()
    plot = drawn.element_handle()
    difference = page.locator(".atesc-tile").filter(has_text="IAcc, new − old")
    expect(difference).to_contain_text("epoch 2")
    store = RunStore(lab.runs_dir)
    forks = store.forks(run_id)
    assert len(forks) == 1, [(run.fork, run.label, run.device, store.get(run_id).device) for run in forks]
    (new,) = forks
    assert new.id in page.url
    expect(page.get_by_role("link", name="New run with 3.50")).to_be_visible()  # it is over
    assert store.get(new.id).status == "done"
    old, own = (store.epochs(each).set_index("epoch").loc[2] for each in (run_id, new.id))
    points = round(own["iacc"] - old["iacc"], 1)
    written = f"{points:+.1f}".replace("-", "−") if points else "±0.0"
    expect(difference).to_contain_text(f"{written}points")
    assert plot.evaluate("node => node.isConnected"), "the chart kept its node, and so the zoom, while it grew"
    page.reload()
    expect(page.locator(".atesc-tile").filter(has_text="IAcc, new − old")).to_contain_text(f"{written}points")
    page.get_by_test_id("stMain").get_by_role("link", name="Compare").click()  # not the menu's, which is there at once
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.locator(".atesc-table")).to_contain_text(["threshold 3.5 from epoch 2"])
    store.close()
