"""The README's pictures: every page of the real app after a real story, light and dark.

    python -m tests.e2e.screenshots [RUNS_DIR] [--width 1920] [--out DIR]

Presses *Run the story live* in a real Chromium, waits for the four students, and prints how long the first
accuracy and the whole story took. With a RUNS_DIR that holds a finished story already, that one is shown.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

from atesc_core.figures.export.browser import find_browser
from atesc_core.runs import DistillationRun, RunStore
from tests.support.browser import SWITCHES
from tests.support.server import ROOT, LabServer

OUT = ROOT / "docs" / "screenshots"
HEIGHT = 900
PATIENCE = 900  # s for a story on a busy machine


def main(
    runs_dir: Annotated[Path | None, typer.Argument(help="Runs to show; else a story is run first.")] = None,
    width: Annotated[int, typer.Option(help="Of the window, in px.")] = 1280,
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = OUT,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    runs_dir = runs_dir or Path(tempfile.mkdtemp(prefix="atesc-story-"))
    size = {"width": width, "height": HEIGHT}
    lab = LabServer(runs_dir)
    lab.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(find_browser()), args=SWITCHES)
            store = RunStore(runs_dir)
            if not store.distillations():
                run_story(browser.new_page(viewport=size), lab.url, store)
            escaped = next(run for run in store.distillations() if run.spec.escape.kind == "atesc")
            for scheme in ("light", "dark"):
                photograph(
                    browser.new_page(viewport=size, color_scheme=scheme),
                    lab.url,
                    escaped,
                    lambda name, scheme=scheme: out / f"{name}-{scheme}.png",
                )
    finally:
        lab.close()


def run_story(page: Page, url: str, store: RunStore) -> None:
    page.goto(url)
    page.get_by_role("button", name="Run the story live").click(timeout=60_000)
    began, first = time.monotonic(), None
    while (
        any(run.status not in ("done", "failed", "stopped") for run in store.distillations())
        or not store.distillations()
    ):
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"The story was not over after {PATIENCE} s")
        if first is None and any(run.metrics for run in store.distillations()):
            first = time.monotonic() - began
            print(f"first accuracy after {first:.0f} s", flush=True)
        page.wait_for_timeout(250)
    print(f"story over after {time.monotonic() - began:.0f} s", flush=True)
    page.close()


def photograph(page: Page, url: str, run: DistillationRun, file: Callable[[str], Path]) -> None:
    views = {
        "start": f"/?story={run.group}",
        "story": "/story?step=5&t=48",
        "domains": "/domains",
        "teachers": "/teachers",
        "distill": f"/distill?run={run.id}",
        "robustness": f"/robustness?run={run.id}",
        "embedding": f"/embedding?run={run.id}",
        "compare": "/compare",
        "figures": f"/figures?run={run.id}",
        "results": "/results",
    }
    for name, path in views.items():
        page.goto(url + path)
        settled(page)
        page.screenshot(path=file(name))
    page.close()


# Streamlit's own mark of work is gone, nothing is being measured or drawn, and every chart on the page is there.
STILL = """() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')
    && !/Measuring|Drawing it/.test(document.body.innerText)
    && [...document.querySelectorAll('[data-chart]')].every(chart => chart.querySelector('.main-svg'))"""


def settled(page: Page) -> None:
    """Until the page is still, and was so for a second."""
    page.get_by_test_id("stMain").wait_for(timeout=60_000)
    for _ in range(2):
        page.wait_for_timeout(1000)
        page.wait_for_function(STILL, timeout=240_000)


if __name__ == "__main__":
    typer.run(main)
