"""A teacher of one's own, from the form to the form of its first student."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from atesc_core.teachers.recipes import from_preset
from tests.e2e.test_story import SOON, WORKER, status, wait_for_points

pytestmark = pytest.mark.e2e

SPEC = from_preset("quick", "mine", "close digits mnist", "tntl", image_side=8, epochs=40, batch_size=128, device="cpu")


def test_a_teacher_is_trained_watched_stopped_resumed_and_distilled(page: Page, lab):
    page.goto(f"{lab.url}/teachers?spec={SPEC.to_token()}")
    expect(page.get_by_role("textbox", name="Name")).to_have_value("mine", timeout=WORKER)
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"run=\w{8}"), timeout=SOON)
    first = wait_for_points(page, "accuracy")
    wait_for_points(page, "accuracy", first)

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped in epoch")).to_be_visible(timeout=SOON)
    page.reload()
    expect(status(page, "stopped")).to_be_visible(timeout=SOON)
    seen = wait_for_points(page, "accuracy")
    page.get_by_role("button", name="Resume").click()
    wait_for_points(page, "accuracy", seen)

    expect(status(page, "done")).to_be_visible(timeout=WORKER)
    page.get_by_role("link", name="Distil this teacher").click()
    page.wait_for_url(re.compile(r"/distill\?teacher=mine"), timeout=SOON)
    expect(page.get_by_text("close digits mnist").first).to_be_visible(timeout=WORKER)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled(timeout=SOON)
