"""The app's frame: its pages, its menu, and links into it."""

import re

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import wait_until_idle

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


def test_escape_leaves_presenting(lab, page: Page):
    """The key did nothing; only the button in the corner left the view for the projector."""
    page.goto(f"{lab.url}/results?projector=1")
    expect(page.get_by_role("button", name="Show controls")).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    wait_until_idle(page)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    expect(page).not_to_have_url(re.compile("projector"))


def test_a_tip_at_the_windows_edge_is_whole(lab, page: Page):
    """It was cut off by the window."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{lab.url}/story")
    terms = page.locator(".atesc-term:visible, .atesc-help:visible")
    terms.first.wait_for()
    wait_until_idle(page)
    tips = [term.evaluate(TIP) for term in terms.all() if term.evaluate(FOCUS)]
    assert tips
    for left, top, right, bottom in tips:
        assert (min(left, top) >= 0, right <= 390, bottom <= 844) == (True, True, True)


def test_focus_in_the_menu_differs_from_the_page_that_is_open(lab, page: Page):
    """Both were the same grey."""
    page.goto(f"{lab.url}/results")
    open_one, other = menu(page).filter(has_text="Results"), menu(page).filter(has_text="Compare")
    look = "link => [getComputedStyle(link).backgroundColor, getComputedStyle(link).outlineStyle].join()"
    active = open_one.evaluate(look)
    other.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(other).to_be_focused()
    assert other.evaluate(look) != active


FOCUS = "term => { term.scrollIntoView({ block: 'center' }); term.focus(); return document.activeElement === term; }"
# Left, top, right and bottom of the tip, which is a pseudo-element: a copy with its computed style is measured.
TIP = """term => {
  term.focus();
  const style = getComputedStyle(term, "::after"), copy = term.appendChild(document.createElement("span"));
  copy.textContent = term.dataset.help;
  for (const name of style) copy.style.setProperty(name, style.getPropertyValue(name));
  const box = copy.getBoundingClientRect();
  copy.remove();
  return [box.left, box.top, box.right, box.bottom];
}"""
PROBE = """
  const probe = document.querySelector('.stApp').appendChild(document.createElement('i'));
  probe.style.color = 'var(--role-id)';
  return getComputedStyle(probe).color;
"""
