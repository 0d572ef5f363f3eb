"""A real server and a real Chromium. Where no browser is found these tests fail; they never skip."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from atesc_core.figures.export.browser import find_browser
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from tests.support.labs import tiny_spec
from tests.support.reports import save_report

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # s that anything may take on a machine that is busy with a run; a page that works is far faster
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Under a page's path Streamlit's client first looks for its server there, and then at the root.
EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")


class Lab:
    """A served script with a runs folder of its own, which can be stopped and started like a user's."""

    def __init__(self, script: Path, runs_dir: Path, environment: dict[str, str]):
        self.script, self.runs_dir, self.environment = script, runs_dir, environment
        self.log = runs_dir.parent / f"{runs_dir.name}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        options = [f"--server.port={self.port}", "--server.headless=true", "--server.fileWatcherType=none"]
        by_streamlit = [] if self.script.name == "app.py" else ["-m", "streamlit", "run"]  # the app serves itself
        command = [sys.executable, *by_streamlit, str(self.script), *options]
        environment = os.environ | {"ATESC_RUNS_DIR": str(self.runs_dir)} | self.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 3 * PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The server did not start:\n{self.log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server; a run's worker goes on, as it does for a user."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """End the server and ask every run that is left to stop."""
        self.stop()
        self.stop_runs()

    def stop_runs(self) -> None:
        store = RunStore(self.runs_dir)
        for run in store.all_runs():
            if run.status in ("queued", "running", "paused"):
                store.stop(run.id)
        store.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """`serve(script, NAME=value)` starts a server of its own for a script, its environment changed; all end with the
    module."""
    labs: list[Lab] = []

    def start(script: Path, **environment: str) -> Lab:
        labs.append(Lab(script, tmp_path_factory.mktemp("runs"), environment))
        labs[-1].start()
        return labs[-1]

    yield start
    for lab in labs:
        lab.close()


@pytest.fixture(scope="module")
def lab(serve: Callable[[Path], Lab]) -> Lab:
    """The app with an empty runs folder, a server for each test module."""
    return serve(ROOT / "app.py")


@pytest.fixture(scope="module")
def run_id(lab: Lab) -> str:
    """A finished run in the lab, its teacher measured."""
    store = RunStore(lab.runs_dir)
    run_id = store.create(tiny_spec())
    work(lab.runs_dir, "cpu")
    save_report(lab.runs_dir)
    store.close()
    return run_id


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()  # without one this says what to install, and the tests fail
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of 1280 x 900 in a fresh profile; the test fails where the page wrote an error into the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * PATIENCE)
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: _note(message, errors))
    yield tab
    context.close()
    assert not errors, errors


def settled(page: Page) -> None:
    """Until the script has run to its end: what it draws comes piece by piece."""
    expect(page.locator("[data-test-script-state]")).to_have_attribute("data-test-script-state", "notRunning")


def _note(message, errors: list[str]) -> None:
    if message.type == "error" and not message.location["url"].endswith(EXPECTED_404):
        errors.append(f"{message.text} ({message.location['url']})")
