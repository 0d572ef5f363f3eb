"""A real server and a real Chromium. Where no browser is found these tests fail; they never skip."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from atesc_core.figures.export.browser import find_browser
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from tests.support.browser import SWITCHES, TIMEOUT_MS, WINDOW
from tests.support.copies import copy_lab
from tests.support.labs import tiny_spec
from tests.support.reports import save_report
from tests.support.server import APP, ROOT, LabServer

# Under a page's path Streamlit's client first looks for its server there, and then at the root.
EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails says which page it saw, as a screen reader reads it."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and isinstance(page, Page):
        report.sections.append((page.url, page.locator("body").aria_snapshot()))
    return report


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Callable[..., LabServer]]:
    """`serve(command, folder, NAME=value)` starts a server of its own, as `LabServer` says; all end with the module.

    With ``start=False`` the test starts it.
    """
    servers: list[LabServer] = []

    def serve_(
        command: Sequence[str | Path] = APP, folder: Path = ROOT, start: bool = True, **environment: str | None
    ) -> LabServer:
        runs_dir = tmp_path_factory.mktemp("runs")
        (runs_dir / "cache").mkdir()  # UMAP's compiled code is kept from one server, and one test run, to the next
        (runs_dir / "cache" / "numba").symlink_to(pytestconfig.cache.mkdir("numba"), target_is_directory=True)
        servers.append(LabServer(runs_dir, command, folder, environment))
        if start:
            servers[-1].start()
        return servers[-1]

    yield serve_
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def lab(serve: Callable[[], LabServer]) -> LabServer:
    """The app with an empty runs folder, a server for each test module."""
    return serve()


@pytest.fixture(scope="session")
def lab_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A runs folder with a finished run, its teacher measured; and the run's id. Nobody changes it."""
    runs_dir = tmp_path_factory.mktemp("prepared")
    store = RunStore(runs_dir)
    run_id = store.create(tiny_spec())
    work(runs_dir, "cpu")
    save_report(runs_dir)
    store.close()
    return runs_dir, run_id


@pytest.fixture(scope="module")
def run_id(lab: LabServer, lab_with_a_run: tuple[Path, str]) -> str:
    """A finished run in the lab, its teacher measured."""
    prepared, run_id = lab_with_a_run
    copy_lab(prepared, lab.runs_dir)
    return run_id


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()  # without one this says what to install, and the tests fail
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile for a module: its tests load Streamlit's and Plotly's scripts once."""
    context = _new_context(browser)
    yield context
    context.close()


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """A tab of 1280 x 900 with nothing stored; the test fails where the page wrote an error into the console."""
    tab = profile.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: _record_error(message, errors))
    yield tab
    if tab.url.startswith("http"):
        tab.evaluate("localStorage.clear()")
    tab.close()
    profile.clear_cookies()
    assert not errors, errors


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """`visitor(url)`: the page as somebody else opens it, in a browser profile of their own."""
    contexts: list[BrowserContext] = []

    def visit(url: str) -> Page:
        contexts.append(_new_context(browser))
        page = contexts[-1].new_page()
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()


def _new_context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport=WINDOW)
    context.set_default_timeout(TIMEOUT_MS)
    return context


def _record_error(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type == "error" and not message.location["url"].endswith(EXPECTED_404):
        errors.append(f"{message.text} ({message.location['url']})")
