"""Every page at the widths of a phone, a tablet, a laptop and a projector: nothing overflows, no labels overlap."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import wait_until_idle
from tests.support.server import ROOT

pytestmark = pytest.mark.e2e
WIDTHS = (1920, 1280, 820, 390)
PAGES = ["start", "story", "domains", "teachers", "distill", "robustness", "embedding", "compare", "figures", "results",
         "storage"]  # fmt: skip
# A page of one thing: its name, the page, and parameters of the link; {run} is a finished run.
VIEWS = [
    *((name, name, "") for name in PAGES),
    ("a run", "distill", "run={run}"),
    ("a run's threshold", "robustness", "run={run}"),
    ("a run's map", "embedding", "run={run}"),
    ("a teacher", "teachers", "teacher=mnistm-mnist-ntl"),
    ("the story's split", "story", "step=4"),
]

PROBLEMS = (ROOT / "tests" / "support" / "layout_problems.js").read_text()


@pytest.fixture(scope="module", params=["light", "dark"])
def window(browser: Browser, request: pytest.FixtureRequest) -> Page:
    context = browser.new_context(color_scheme=request.param)
    page = context.new_page()
    yield page
    context.close()


@pytest.mark.parametrize(("page_name", "query"), [view[1:] for view in VIEWS], ids=[view[0] for view in VIEWS])
def test_nothing_overflows_and_no_labels_overlap(lab, run_id, window: Page, page_name: str, query: str):
    window.set_viewport_size({"width": WIDTHS[0], "height": 1080})
    window.goto(f"{lab.url}/{page_name}?{query.format(run=run_id)}")
    expect(window.get_by_role("heading").first).to_be_visible()
    wait_until_idle(window)
    problems = {}
    for width in WIDTHS:
        window.set_viewport_size({"width": width, "height": 1080})
        window.wait_for_function(SETTLED)
        if found := window.evaluate(PROBLEMS):
            problems[width] = found
    assert not problems


# Plotly redraws its charts after a change of the window's width, a moment later.
SETTLED = """
() => [...document.querySelectorAll('[data-testid=stMain] .js-plotly-plot')].every((plot) => {
  const svg = plot.querySelector('.main-svg'), box = plot.getBoundingClientRect();
  return !box.width || (svg && Math.abs(svg.getBoundingClientRect().width - box.width) < 3);
})
"""
