"""Many runs from one form, stopped and resumed as a group, named, and found again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from atesc_core.runs import RunStore
from tests.support.browser import wait_until_idle
from tests.support.labs import logged_run, tiny_spec
from tests.support.server import LabServer

pytestmark = pytest.mark.e2e


def test_three_seeds_are_started_and_stopped_as_a_group(lab: LabServer, page: Page):
    page.goto(f"{lab.url}/distill?spec={tiny_spec().to_token()}&vary=seed%3D1-3")
    expect(page.get_by_role("button", name="Start 3 runs")).to_be_visible()
    wait_until_idle(page)
    values = page.get_by_role("textbox", name="seed", exact=True)
    values.fill("5-9")
    values.press("Enter")
    page.wait_for_url(re.compile("vary=seed%3D5-9"))
    page.get_by_role("button", name="Start 5 runs").click()
    group = page.locator(".st-key-group")
    expect(group).to_contain_text("group of 5 runs")
    group.get_by_role("button", name="Stop all").click()
    expect(group).to_contain_text(re.compile("[1-5] stopped"))
    expect(group.get_by_role("button", name="Stop all")).to_have_count(0)  # the worker has left the one that ran
    group.get_by_role("link", name="Open in Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.locator(".st-key-group")).to_contain_text("group of 5 runs")


def test_a_run_is_named_while_it_is_drawn_again_and_found_by_its_note(lab: LabServer, page: Page):
    store = RunStore(lab.runs_dir)
    runs = [logged_run(store, (50, 90), seed=seed, status="running") for seed in range(9)]
    page.goto(f"{lab.url}/distill?run={runs[4]}")
    page.get_by_role("button", name="Name and note").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("For Figure 3")
    note = page.get_by_role("textbox", name="Note")
    note.press_sequentially("odd after epoch one", delay=150)  # longer than the run's panel takes to be drawn again
    expect(note).to_have_value("odd after epoch one")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".atesc-line", has_text="For Figure 3").first).to_be_visible()
    run = store.get(runs[4])
    assert (run.label, run.note) == ("For Figure 3", "odd after epoch one")
    store.close()
    # The browser sent the run's former name as its id, and the next press closed the run.
    page.get_by_role("textbox", name="Find").fill("figure")
    page.get_by_role("textbox", name="Find").press("Enter")
    page.wait_for_url(re.compile("find=figure"))
    expect(page).to_have_url(re.compile(f"run={runs[4]}"))
    expect(page.get_by_role("combobox", name="Run")).to_have_value(re.compile("For Figure 3"))

    page.goto(f"{lab.url}/robustness")
    expect(page.get_by_role("textbox", name="Find")).to_be_visible()
    page.get_by_role("textbox", name="Find").fill("odd figure")
    page.get_by_role("textbox", name="Find").press("Enter")
    page.wait_for_url(re.compile("find=odd"))
    page.get_by_role("combobox", name="Run").click()
    expect(page.get_by_role("option", name=re.compile("For Figure 3"))).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(2)
