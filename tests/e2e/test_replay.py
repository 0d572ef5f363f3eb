"""A recording in a real browser, from a server that has no PyTorch: it plays by itself, keeps its charts, and a link
shows another visitor the same."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest
from playwright.sync_api import Page, expect

from atesc_core.recording import save
from tests.support.browser import chart, wait_for_accuracies, wait_until_idle
from tests.support.server import LabServer

pytestmark = pytest.mark.e2e
NAME = "0123456789abcdef"


@pytest.fixture(scope="module")
def still(serve, tmp_path_factory: pytest.TempPathFactory) -> LabServer:
    """A lab in which nothing can be computed: whoever imports PyTorch there, server or worker, fails."""
    folder = tmp_path_factory.mktemp("still")
    (folder / "torch.py").write_text('raise ImportError("nothing is computed here")\n')
    return serve(PYTHONPATH=str(folder))


@pytest.fixture(scope="module")
def story(still: LabServer, recorded) -> str:
    """The address of a recorded story in a lab that has no runs."""
    folder = still.runs_dir / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    save(recorded, folder / f"{NAME}.atesc")
    return f"{still.url}/story?recording={NAME}"


def test_the_replay_plays_and_keeps_its_charts(page: Page, still: LabServer, story: str, recorded):
    run = recorded.manifest.runs[0].run
    page.goto(f"{story}&step=3&speed=1")
    handle = page.get_by_role("slider", name="Seconds of each run")
    expect(handle).to_be_visible()
    chart(page, f"replay {run}").locator(".main-svg").first.wait_for()
    wait_until_idle(page)
    page.evaluate(f"window.node = document.querySelector('[data-chart=\"replay {run}\"] .main-svg')")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_for_accuracies(page, f"replay {run}", more_than=1)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()  # it is over
    assert page.evaluate(f"window.node === document.querySelector('[data-chart=\"replay {run}\"] .main-svg')")
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
    server = psutil.Process(still.process.pid)
    assert not [file.path for file in server.memory_maps() if "libtorch" in file.path]
    assert not server.children(recursive=True)  # and nobody else computes for it


def test_the_handle_goes_where_it_is_put_and_the_link_says_so(
    page: Page, story: str, visitor: Callable[[str], Page], recorded
):
    run = recorded.manifest.runs[0].run
    page.goto(f"{story}&step=5")
    handle = page.get_by_role("slider", name="Seconds of each run")
    expect(handle).to_be_visible()
    handle.focus()
    page.keyboard.press("End")
    wait_for_accuracies(page, f"replay {run}", more_than=1)
    page.wait_for_url(lambda url: "t=" in url)
    other = visitor(f"{page.url}&projector=1")
    assert wait_for_accuracies(other, f"replay {run}", more_than=1) == 2
    expect(other.get_by_test_id("stSidebar")).to_be_hidden()
    other.keyboard.press("PageUp")
    expect(other.get_by_text("Push")).to_be_visible()
