"""The installed app, served from a folder outside the checkout."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.installed import HIDDEN, InstalledLab

LOADED_MS = 60_000
# Whether a student's chart shows an accuracy.
FIRST_ACCURACY = """() => [...document.querySelectorAll('[data-chart^="replay"] .js-plotly-plot')]
    .some(plot => plot._fullData?.some(line => line.meta?.metric === 'IAcc' && line._length > 0))"""


def test_it_plays_the_story(serve, installed: InstalledLab, page: Page):
    server = serve([installed.commands / "atesc-lab", "--no-browser"], installed.folder, **dict.fromkeys(HIDDEN))
    page.goto(f"{server.url}/story?step=3")
    page.get_by_role("button", name="Play", exact=True).click(timeout=LOADED_MS)
    page.wait_for_function(FIRST_ACCURACY, timeout=LOADED_MS)
