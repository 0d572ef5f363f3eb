"""A lecturer pauses a live run and goes through it turn by turn."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from atesc_core.runs import RunStore
from tests.support.browser import wait_until_idle
from tests.support.labs import tiny_spec

pytestmark = pytest.mark.e2e


def card(page: Page) -> Locator:
    return page.locator(".st-key-turn-trace")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def told(page: Page) -> list[str]:
    """Every number that the card's tables say."""
    return card(page).locator("tbody td").all_inner_texts()


def test_a_live_run_is_paused_gone_through_turn_by_turn_and_resumed(lab, page: Page):
    store = RunStore(lab.runs_dir)
    run_id = store.create(tiny_spec().replaced({"epochs": 1000, "escape.warmup_epochs": 900}))
    page.goto(f"{lab.url}/distill?run={run_id}")
    press(page, "Pause")
    expect(card(page)).to_contain_text("A round begins with the generator")
    expect(page.get_by_role("button", name="Student's turn")).to_be_disabled()

    press(page, "Generator's turn")
    expect(card(page)).to_contain_text("How the images changed")
    expect(card(page).locator(".atesc-point > i")).to_have_text(["1", "2", "3", "4", "5"])
    expect(card(page).locator(".atesc-sums tbody tr")).to_have_count(5)  # four terms and their sum
    expect(card(page).get_by_role("img", name="teacher:")).to_have_count(28)  # before and after
    term = card(page).get_by_text("−KL(T‖S)")
    term.focus()
    assert "disagree" in term.evaluate("term => getComputedStyle(term, '::after').content")

    press(page, "Student's turn")
    expect(card(page)).to_contain_text("the student's turn 1 of 2")
    expect(card(page)).to_contain_text("Warm-up, epoch")
    wait_until_idle(page)
    answers = card(page).locator(".atesc-answers tbody")
    marked = card(page).get_by_role("button", name="teacher:").nth(5)
    before = answers.inner_text()
    marked.click()
    expect(page).to_have_url(re.compile("image=5"))
    expect(marked).to_have_attribute("aria-pressed", "true")
    expect(answers).not_to_have_text(before, use_inner_text=True)
    wait_until_idle(page)
    place, numbers = re.search(r"epoch \d+ of 1000 · round \d+ of 4", card(page).inner_text())[0], told(page)

    page.reload()
    expect(card(page)).to_contain_text(f"{place} · the student's turn 1 of 2")
    expect(card(page)).to_contain_text("Agrees with what teaches")  # its last
    wait_until_idle(page)
    assert told(page) == numbers, "the same turn, of the same image"

    press(page, "Slow motion")
    expect(card(page)).to_contain_text("the student's turn 2 of 2")  # by itself
    press(page, "End slow motion")
    expect(page.get_by_role("button", name="Slow motion", exact=True)).to_be_visible()
    press(page, "Resume")
    expect(card(page)).to_have_count(0)
    # While BatchNorm is measured, its job has a button of that name, too.
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(1)
    press(page, "Stop")
    expect(page.get_by_text("Stopped in epoch")).to_be_visible()
    store.close()
