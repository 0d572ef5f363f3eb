"""A figure taken home from a real browser: the file has the width of the venue's column."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Page, expect

from atesc_core.specs.run import RunSpec
from tests.support.labs import tiny_spec

pytestmark = pytest.mark.e2e


@pytest.fixture
def here(page: Page, lab, run_id: str) -> Page:
    page.goto(f"{lab.url}/figures?run={run_id}")
    expect(page.locator(".atesc-paper img")).to_be_visible()
    return page


def taken(page: Page, label: str, folder: Path) -> Path:
    """The file that a click on the button brings."""
    with page.expect_download() as download:
        page.get_by_role("button", name=label, exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_the_preview_is_as_wide_as_it_prints(here: Page):
    figure = here.locator(".atesc-figure img")
    assert figure.bounding_box()["width"] == pytest.approx(3.25 * 96, abs=1)
    here.get_by_role("radio", name="2 · 6.75 in").click()
    here.wait_for_function(
        "Math.abs(document.querySelector('.atesc-figure img')?.getBoundingClientRect().width - 6.75 * 96) < 1"
    )


def test_the_pdf_opens_is_as_wide_as_promised_and_holds_its_fonts_and_vectors(here: Page, tmp_path: Path):
    """Read as a reader does: its page's box, its fonts' files, and what its content draws."""
    here.get_by_role("radio", name="2 · 6.75 in").click()
    here.wait_for_function(
        "Math.abs(document.querySelector('.atesc-figure img')?.getBoundingClientRect().width - 6.75 * 96) < 1"
    )
    content = taken(here, "PDF", tmp_path).read_bytes()
    assert content.count(b"/Type /Page\n") == 1
    assert b"/Subtype /Image" not in content
    box = [float(side) for side in re.search(rb"/MediaBox\s*\[([^\]]+)\]", content)[1].split()]
    assert box[2] - box[0] == pytest.approx(6.75 * 72, abs=0.75)
    fonts = set(re.findall(rb"/FontName\s*/(?:[A-Z]{6}\+)([\w-]+)", content))
    assert fonts
    assert all(name.startswith(b"Arimo") for name in fonts)
    assert content.count(b"/FontFile2") == content.count(b"/Type /FontDescriptor") == len(fonts)
    streams = [zlib.decompress(part) for part in re.findall(rb"stream\r?\n(\x78.*?)endstream", content, re.DOTALL)]
    page = max((part for part in streams if b" re\n" in part), key=len)
    assert len(re.findall(rb" l$", page, re.MULTILINE)) > 10
    assert len(re.findall(rb" T[jJ]$", page, re.MULTILINE)) > 5


def test_each_file_is_what_it_says(here: Page, run_id: str, tmp_path: Path):
    pdf = taken(here, "PDF", tmp_path)
    assert pdf.name == f"accuracy-{run_id}.pdf"
    content = pdf.read_bytes()
    width = float(re.search(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)", content)[1])
    assert content.startswith(b"%PDF-")
    assert width == pytest.approx(3.25 * 72, abs=0.5)

    svg = taken(here, "SVG", tmp_path).read_text()
    assert re.search(r'<svg[^>]*width="3.25in"', svg)

    with Image.open(taken(here, "PNG", tmp_path)) as picture:
        assert picture.width == pytest.approx(3.25 * 300, abs=2)
        assert json.loads(picture.info["ATEscOrigin"])["run"] == run_id

    table = pd.read_csv(taken(here, "CSV", tmp_path))
    assert set(table["metric"]) == {"iacc", "asr"} or set(table["metric"]) == {"IAcc", "ASR"}

    origin = yaml.safe_load(taken(here, "Origin", tmp_path).read_text())
    assert RunSpec.model_validate(origin["spec"]) == tiny_spec()
    assert origin["command"].startswith("atesc distill")
