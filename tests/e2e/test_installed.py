"""The installed app, served from a folder outside the checkout."""

from __future__ import annotations

import socket
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.support.waiting import until

LOADED_MS = 60_000
# Whether a student's chart shows an accuracy.
FIRST_ACCURACY = """() => [...document.querySelectorAll('[data-chart^="replay"] .js-plotly-plot')]
    .some(plot => plot._fullData?.some(line => line.meta?.metric === 'IAcc' && line._length > 0))"""


@pytest.fixture
def url(installed) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (installed.folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [installed.commands / "atesc-lab", "--no-browser", "--port", str(port)],
            cwd=installed.folder, env=installed.environment, stdout=log, stderr=log,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).status == 200
        except OSError:
            return False

    try:
        until(answers)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def test_it_plays_the_story(url: str, page: Page):
    page.goto(f"{url}/story?step=3")
    page.get_by_role("button", name="Play", exact=True).click(timeout=LOADED_MS)
    page.wait_for_function(FIRST_ACCURACY, timeout=LOADED_MS)
