"""Every page at the widths of a phone, a tablet, a laptop and a projector: nothing overflows, no labels overlap.

`make test` tries each page at one of the narrow ones, in light. All of it:

    ATESC_TEST_SIZE=large pytest tests/e2e/test_layout.py
"""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, expect

from atesc_core.runs import RunStore
from tests.support.browser import wait_until_idle
from tests.support.labs import CONTROL, logged_run
from tests.support.pages import PAGE_NAMES
from tests.support.server import ROOT

pytestmark = pytest.mark.e2e
LARGE = os.environ.get("ATESC_TEST_SIZE") == "large"
WIDTHS = (1920, 1280, 820, 390)
SCHEMES = ("light", "dark") if LARGE else ("light",)
# A page of one thing: its name, the page, and parameters of the link; {run} is a finished run.
VIEWS = [
    ("start", "", ""),
    *((name, name, "") for name in PAGE_NAMES[1:]),
    ("a run", "distill", "run={run}"),
    ("a run's threshold", "robustness", "run={run}"),
    ("a run's map", "embedding", "run={run}"),
    ("a teacher", "teachers", "teacher=mnistm-mnist-ntl"),
    ("the story's split", "story", "step=4"),
]

# Every chart is drawn, and as wide as its place.
DRAWN = """
() => [...document.querySelectorAll('[data-testid=stMain] [data-chart]')].every((chart) => {
  const plot = chart.querySelector('.js-plotly-plot'), svg = chart.querySelector('.main-svg');
  return svg && Math.abs(svg.getBoundingClientRect().width - plot.getBoundingClientRect().width) < 3;
})
"""
PROBLEMS = (ROOT / "tests" / "support" / "layout_problems.js").read_text()


@pytest.fixture(scope="module")
def several_runs(lab, run_id: str) -> str:
    """The id of a finished run; the lab has others, to compare: of another teacher, and with thresholds by hand."""
    store = RunStore(lab.runs_dir)
    logged_run(store, (20.0, 95.0), (25.5, 99.0), metric="olacc", escape="none")
    logged_run(store, (80.0, 20.0), (87.5, 21.0), escape="none", teacher=CONTROL)
    by_hand = logged_run(store, *[(30.0 + epoch, 0.5) for epoch in range(8)], **{"escape.clamp": 5.0})
    with store.database.write() as connection:
        for epoch in (3, 4, 5):
            connection.execute(
                "INSERT INTO history (run, kind, epoch, round, value, text, time) "
                "VALUES (?, 'threshold', ?, 1, ?, 'hand', 0)",
                (by_hand, epoch, 4.0 + epoch),
            )
    store.close()
    return run_id


@pytest.mark.parametrize(("page_name", "query"), [view[1:] for view in VIEWS], ids=[view[0] for view in VIEWS])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_overflows_and_no_labels_overlap(
    lab, several_runs, page: Page, page_name: str, query: str, scheme: str
):
    page.emulate_media(color_scheme=scheme)
    problems = []
    place = [view[1:] for view in VIEWS].index((page_name, query))
    for width in WIDTHS if LARGE else (WIDTHS[2 + place % 2],):
        page.set_viewport_size({"width": width, "height": 1080})
        page.goto(f"{lab.url}/{page_name}?{query.format(run=several_runs)}")
        expect(page.get_by_role("heading").first).to_be_visible()
        wait_until_idle(page)
        page.wait_for_function(DRAWN)
        problems += [f"{width} px: {problem}" for problem in page.evaluate(PROBLEMS)]
    assert not problems, "\n".join(problems)
