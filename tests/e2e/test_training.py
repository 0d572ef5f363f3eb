"""A teacher of one's own, from the form to the form of its first student."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from atesc_core.teachers.recipes import from_preset
from tests.support.browser import WORKER_MS, status_chip, wait_for_accuracies

pytestmark = pytest.mark.e2e

SPEC = from_preset("quick", "mine", "close digits mnist", "tntl", image_side=8, epochs=20, batch_size=128, device="cpu")


def test_a_teacher_is_trained_watched_stopped_resumed_and_distilled(page: Page, lab):
    page.goto(f"{lab.url}/teachers?spec={SPEC.to_token()}")
    expect(page.get_by_role("textbox", name="Name")).to_have_value("mine", timeout=WORKER_MS)
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"run=\w{8}"))
    first = wait_for_accuracies(page, "accuracy")
    wait_for_accuracies(page, "accuracy", first)

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible()
    page.reload()
    expect(status_chip(page, "stopped")).to_be_visible()
    seen = wait_for_accuracies(page, "accuracy")
    page.get_by_role("button", name="Resume").click()
    wait_for_accuracies(page, "accuracy", seen)

    expect(status_chip(page, "done")).to_be_visible(timeout=WORKER_MS)
    page.get_by_role("link", name="Distil this teacher").click()
    page.wait_for_url(re.compile(r"/distill\?teacher=mine"))
    expect(page.get_by_text("close digits mnist").first).to_be_visible(timeout=WORKER_MS)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
