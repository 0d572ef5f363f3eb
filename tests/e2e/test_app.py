"""The app's frame: its pages, its menu, and links into it."""

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.e2e
TITLES = ["Start", "Teachers", "Distill", "Robustness", "Embedding", "Figures"]


def menu(page: Page):
    return page.locator(".st-key-menu").get_by_role("link")


def test_a_link_to_a_page_opens_it_in_its_frame_on_a_fresh_server(serve, page: Page):
    """Nobody has been at "/" yet: Streamlit would run the page's file alone."""
    page.goto(f"{serve(ROOT / 'app.py').url}/teachers")
    expect(menu(page)).to_contain_text(TITLES, timeout=30_000)
    assert page.url.endswith("/teachers")


@pytest.mark.parametrize("title", TITLES)
def test_every_page_opens_from_the_menu(lab, page: Page, title: str):
    page.goto(lab.url)
    menu(page).filter(has_text=title).click(timeout=30_000)
    expect(page.get_by_role("heading").first).to_be_visible(timeout=30_000)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_the_sidebar_says_what_the_lab_runs_on(lab, page: Page):
    page.goto(lab.url)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar).to_contain_text("GB", timeout=60_000)  # of memory; PyTorch takes its time on a busy machine
    expect(sidebar).to_contain_text("Empty")


def test_the_server_is_reached_on_loopback_only(lab):
    """Read from the process's own listening sockets, whatever the configuration says."""
    addresses = {c.laddr.ip for c in psutil.Process(lab.process.pid).net_connections() if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}
