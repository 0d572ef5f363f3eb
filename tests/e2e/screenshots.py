"""The README's pictures: every page of the real app after a real story, light and dark.

    python -m tests.e2e.screenshots [RUNS_DIR]

Presses *Run the story live* in a real Chromium, waits for the three students, and prints how long the first
accuracy and the whole story took. With a RUNS_DIR that holds a finished story already, that one is shown.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from atesc_core.figures.export import find_browser
from atesc_core.runs import RunStore
from tests.e2e.conftest import ROOT, SWITCHES, Lab

OUT = ROOT / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 900}
PATIENCE = 900  # s for a story on a busy machine


def main(runs_dir: Path) -> None:
    lab = Lab(ROOT / "app.py", runs_dir)
    lab.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(find_browser()), args=SWITCHES)
            store = RunStore(runs_dir)
            if not store.list():
                run_story(browser, lab.url, store)
            escaped = next(run for run in store.list() if run.spec.escape.kind == "atesc")
            for scheme in ("light", "dark"):
                photograph(browser, lab.url, scheme, escaped.id, escaped.group)
    finally:
        lab.close()


def run_story(browser: Browser, url: str, store: RunStore) -> None:
    page = browser.new_page(viewport=SIZE)
    page.goto(url)
    page.get_by_role("button", name="Run the story live").click(timeout=60_000)
    began, first = time.monotonic(), None
    while any(run.status not in ("done", "failed", "stopped") for run in store.list()) or not store.list():
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"The story was not over after {PATIENCE} s")
        if first is None and any(run.metrics for run in store.list()):
            first = time.monotonic() - began
            print(f"first accuracy after {first:.0f} s", flush=True)
        page.wait_for_timeout(250)
    print(f"story over after {time.monotonic() - began:.0f} s", flush=True)
    page.close()


def photograph(browser: Browser, url: str, scheme: str, run: str, group: str) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme=scheme)
    views = {"start": f"/?story={group}", "story": "/story?step=5&t=48", "domains": "/domains", "teachers": "/teachers",
             "distill": f"/distill?run={run}", "robustness": f"/robustness?run={run}",
             "embedding": f"/embedding?run={run}", "compare": "/compare", "figures": f"/figures?run={run}",
             "results": "/results"}
    for name, path in views.items():
        page.goto(url + path)
        settled(page)
        page.screenshot(path=OUT / f"{name}-{scheme}.png")
    page.close()


# Streamlit's own mark of work is gone, nothing is being measured, and every chart on the page is drawn.
STILL = """() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')
    && !document.body.innerText.includes('Measuring')
    && [...document.querySelectorAll('[data-chart]')].every(chart => chart.querySelector('.main-svg'))"""


def settled(page: Page) -> None:
    """Until the page is still, and was so for a second."""
    page.get_by_test_id("stMain").wait_for(timeout=60_000)
    for _ in range(2):
        page.wait_for_timeout(1000)
        page.wait_for_function(STILL, timeout=240_000)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="atesc-story-")))
