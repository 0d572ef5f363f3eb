"""The app's frame: its pages, its menu, and links into it."""

import psutil
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e
TITLES = [
    "Start",
    "Domains",
    "Teachers",
    "Distill",
    "Robustness",
    "Embedding",
    "Compare",
    "Figures",
    "Results",
    "Storage",
]


def menu(page: Page):
    return page.locator(".st-key-menu").get_by_role("link")


def test_a_link_to_a_page_opens_it_in_its_frame_on_a_fresh_server(serve, page: Page):
    """Nobody has been at "/" yet: Streamlit would run the page's file alone."""
    page.goto(f"{serve().url}/teachers")
    expect(menu(page)).to_contain_text(TITLES)
    assert page.url.endswith("/teachers")


@pytest.mark.parametrize("title", TITLES)
def test_every_page_opens_from_the_menu(lab, page: Page, title: str):
    page.goto(lab.url)
    menu(page).filter(has_text=title).click()
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_the_sidebar_says_what_the_lab_runs_on(lab, page: Page):
    page.goto(lab.url)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar).to_contain_text("GB")  # of memory
    expect(sidebar).to_contain_text("Empty")


def test_the_server_is_reached_on_loopback_only(lab):
    """Read from the process's own listening sockets, whatever the configuration says."""
    addresses = {c.laddr.ip for c in psutil.Process(lab.process.pid).net_connections() if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


def test_a_change_of_theme_reaches_the_whole_frame(lab, page: Page):
    page.goto(lab.url)
    logo = page.get_by_test_id("stSidebarHeader").locator("img")
    light = logo.get_attribute("src")
    page.emulate_media(color_scheme="dark")
    expect(logo).not_to_have_attribute("src", light)
    assert page.evaluate(f"() => {{ {PROBE} }}") == "rgb(20, 164, 245)"  # theme.DARK_COLOURS["id"]


PROBE = """
  const probe = document.querySelector('.stApp').appendChild(document.createElement('i'));
  probe.style.color = 'var(--role-id)';
  return getComputedStyle(probe).color;
"""
