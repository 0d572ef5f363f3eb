"""Files that a paper can take: drawn by a real browser, at the venue's width, with their origin inside."""

import base64
import copy
import io
import json
import re
import struct
import threading
import time
import zipfile
import zlib
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from fontTools.ttLib import TTFont
from PIL import Image

from atesc_core import errors
from atesc_core.figures import FIGURES, theme
from atesc_core.figures.export import browser, files, sheet, venues
from atesc_core.figures.export.browser import draw, print_svg
from atesc_core.figures.export.points import POINT, merge_points
from atesc_core.version import lab_version
from tests.support.figure_labs import drawing_browsers
from tests.support.figure_samples import CONFUSION, CURVES, DRAW, PLAIN, SCORES, SYNTHETIC

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def printed():
    return DRAW["accuracy"]("print")


def pdf_width(file: bytes) -> float:
    """Points."""
    left, _, right, _ = map(float, re.search(rb"/MediaBox \[([^\]]+)\]", file)[1].split())
    return right - left


def pdf_streams(file: bytes) -> list[bytes]:
    found = re.finditer(rb"stream\r?\n(.*?)endstream", file, re.DOTALL)
    return [zlib.decompress(part[1]) for part in found if part[1][:1] == b"\x78"]


# ── size ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("venue", "columns", "inches"),
    [
        ("icml", 1, 3.25),
        ("icml", 2, 6.75),
        ("neurips", 1, 5.5),
        ("cvpr", 2, 6.875),
        ("ieee", 1, 3.5),
        ("ieee", 2, 7.16),
    ],
)
def test_a_pdf_is_as_wide_as_the_venue_prints(printed, venue, columns, inches):
    file = files.render_file(printed, "pdf", venue, columns)
    assert file.startswith(b"%PDF-")
    assert pdf_width(file) == pytest.approx(72 * inches, abs=0.75)  # a page is rounded up to whole CSS pixels


def test_a_pdf_is_one_page_and_the_figure_fills_it(printed):
    """Kaleido's own print margins would push the figure 0.1 in off its page."""
    file = files.render_file(printed, "pdf")
    assert file.count(b"/Type /Page\n") == 1
    page = next(part for part in pdf_streams(file) if b"re\nW" in part)
    left, top = map(float, re.search(rb"([-\d.]+) ([-\d.]+) [-\d.]+ [-\d.]+ re\nW", page).groups())
    assert (left, top) == (0, 0)


def test_a_pdf_holds_text_and_lines_not_pixels(printed):
    file = files.render_file(printed, "pdf")
    assert b"/Subtype /CIDFontType2" in file
    assert b"/Type3" not in file
    assert b"/Subtype /Image" not in file


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_prints_as_vectors_in_the_shipped_font(name):
    drawn = sheet.draw_sheet(DRAW[name]("print"))
    pdf, svg = files.sheet_file(drawn, "pdf"), ElementTree.fromstring(files.sheet_file(drawn, "svg"))
    assert pdf_width(pdf) == 234
    assert drawn.missing == ""
    assert svg.find(f".//{SVG}foreignObject") is None
    is_of_photographs = name == "contact_sheet"
    assert (b"/Subtype /Image" in pdf) == is_of_photographs
    assert (svg.find(f".//{SVG}image") is not None) == is_of_photographs


# ── fonts ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("font", "family"), [("sans", "Arimo"), ("serif", "Tinos")])
def test_a_pdf_embeds_the_shipped_font_and_no_other(printed, font, family):
    file = files.render_file(printed, "pdf", font=font)
    names = {name.decode() for name in re.findall(rb"/BaseFont /[A-Z]{6}\+(\S+)", file)}
    assert names == {family, f"{family}-Bold"}
    assert len(set(re.findall(rb"/FontFile2 (\d+) 0 R", file))) == 2  # one for each face, in the file itself
    assert len(re.findall(rb"/BaseFont", file)) == len(re.findall(rb"/BaseFont /[A-Z]{6}\+", file))


def test_every_character_of_every_figure_is_in_the_shipped_serif_font():
    missing = {name: sheet.draw_sheet(DRAW[name]("print"), font="serif").missing for name in FIGURES}
    assert missing == dict.fromkeys(FIGURES, "")


def test_a_character_that_the_font_lacks_is_told(printed):
    figure = copy.deepcopy(printed)
    figure.add_annotation(x=1, y=50, text="鳥 and 猴 鳥", showarrow=False)
    drawn = sheet.draw_sheet(figure)
    assert drawn.missing == "鳥猴"
    others = {name.decode() for name in re.findall(rb"/BaseFont /[A-Z]{6}\+(\S+)", files.sheet_file(drawn, "pdf"))}
    assert {"Arimo", "Arimo-Bold"} <= others


def test_an_svg_brings_its_fonts_along(printed):
    """A browser that shows it in an <img>, as the preview does, sees no font but these and the system's."""
    style = ElementTree.fromstring(files.render_file(printed, "svg")).find(f"{SVG}style").text
    faces = re.findall(r"font-family:'(\w+)';font-weight:(\d+);src:url\(data:font/ttf;base64,([^)]+)\)", style)
    assert [face[:2] for face in faces] == [("Arimo", "400"), ("Arimo", "700")]
    for _, _, data in faces:
        with TTFont(io.BytesIO(base64.b64decode(data))) as font:
            assert {ord(letter) for letter in "IAccOLepoch0123468%"} <= set(font.getBestCmap())
            assert len(font.getBestCmap()) < 100  # only what is drawn


# ── panels ────────────────────────────────────────────────────────────────────


def test_panels_stand_in_a_grid_at_the_width_of_the_page():
    drawn = sheet.draw_sheet(
        [DRAW[name]("print") for name in ("accuracy", "scores", "confusion")], "icml", 2, across=2, labels=("NTL & SL",)
    )
    assert drawn.width == 6.75 * 96
    panels = [part for part in ElementTree.fromstring(drawn.svg()) if part.tag == f"{SVG}svg"]
    wide = (6.75 - sheet.PANEL_GAP_IN) / 2 * 96
    assert [float(panel.get("width")) for panel in panels] == pytest.approx([wide] * 3, abs=0.01)
    assert [float(panel.get("x")) for panel in panels] == pytest.approx([0, 6.75 * 96 - wide, 0], abs=0.01)
    assert float(panels[0].get("y")) == float(panels[1].get("y")) < float(panels[2].get("y"))
    assert drawn.text.startswith("(a) NTL & SL")
    assert "(c)" in drawn.text
    assert pdf_width(files.sheet_file(drawn, "pdf")) == pytest.approx(6.75 * 72, abs=0.75)


def test_panels_share_the_height_that_is_asked_for():
    pair = [DRAW[name]("print") for name in ("accuracy", "scores")]
    assert sheet.draw_sheet(pair, height_in=4, across=1).height == pytest.approx(4 * 96)
    with pytest.raises(ValueError, match="height_in: 0.5; expected 1.28 in or more for 2 rows of panels"):
        sheet.draw_sheet(pair, height_in=0.5, across=1)
    assert sheet.draw_sheet(pair, height_in=1.28, across=1).height == pytest.approx(1.28 * 96)


def test_panels_have_one_csv():
    rows = read([DRAW["accuracy"]("print"), DRAW["scores"]("print")])
    alone = read(DRAW["scores"]("print"))
    assert set(rows["panel"]) == {"a", "b"}
    second = rows[rows["panel"] == "b"].dropna(axis=1, how="all").drop(columns="panel")
    pd.testing.assert_frame_equal(second.reset_index(drop=True), alone, check_dtype=False)


def test_even_the_embedding_is_vectors():
    file = files.render_file(DRAW["embedding"]("print"), "pdf")
    assert b"/Subtype /Image" not in file
    svg = ElementTree.fromstring(files.render_file(DRAW["embedding"]("print"), "svg"))
    assert svg.find(f".//{SVG}image") is None
    assert svg.find(f".//{SVG}canvas") is None


def test_a_large_scatter_is_vectors_every_point_of_it():
    points = pd.DataFrame(np.random.default_rng(0).normal(size=(3000, 2)), columns=["x", "y"])
    figure = FIGURES["embedding"](
        points[:200].assign(domain="id"), points.assign(id=range(3000), fragile=[True, False] * 1500), "print"
    )
    drawn = sheet.draw_sheet(figure)
    svg = ElementTree.fromstring(drawn.svg())
    for colour in ("rgb(86, 180, 233)", "rgb(230, 159, 0)"):
        strokes = [path.get("d") for path in svg.iter(f"{SVG}path") if f"stroke: {colour}" in path.get("style", "")]
        assert sum(stroke.count("h.01") for stroke in strokes) == 1500  # a dot each, of a pen that makes many
    assert b"/Subtype /Image" not in files.sheet_file(drawn, "pdf")


@pytest.mark.parametrize("dpi", [96, 300])
def test_a_png_has_inches_times_dpi_pixels(printed, dpi):
    with Image.open(io.BytesIO(files.render_file(printed, "png", "icml", 2, height_in=3, dpi=dpi))) as picture:
        assert picture.size == (round(6.75 * dpi), 3 * dpi)
        assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)


def test_a_png_is_white_behind_whatever_the_theme(printed):
    with Image.open(io.BytesIO(files.render_file(printed, "png", "ieee", 2, dpi=150))) as picture:
        assert picture.mode == "RGB"
        assert picture.size[0] == pytest.approx(7.16 * 150, abs=1)
        assert {picture.getpixel(corner) for corner in [(0, 0), (picture.width - 1, picture.height - 1)]} == {
            (255, 255, 255)
        }


def test_an_svg_is_vectors_sized_in_inches(printed):
    root = ElementTree.fromstring(files.render_file(printed, "svg"))
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height")) == ("3.25in", "2.08in")
    assert root.find(f".//{SVG}text") is not None
    assert root.find(f".//{SVG}image") is None


@pytest.mark.parametrize("points", [7, 10])
def test_text_prints_at_the_points_asked_for(printed, points):
    svg = files.render_file(printed, "svg", font_pt=points).decode()
    sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
    assert sizes
    assert all(size == pytest.approx(points * 96 / 72, abs=0.01) for size in sizes)


def test_the_serif_is_used(printed):
    assert "Times New Roman" in files.render_file(printed, "svg", font="serif").decode()


def test_printing_leaves_the_figure_as_it_was(printed):
    before = printed.to_json()
    venues.for_print(printed, "ieee", 2, font_pt=10)
    assert printed.to_json() == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"venue": "nature"}, "venue: 'nature'.*icml"),
        ({"columns": 3}, "columns: 3; expected 1 or 2"),
        ({"font": "comic"}, "font: 'comic'.*sans"),
        ({"font_pt": 0}, "font_pt: 0"),
        ({"dpi": 0}, "dpi: 0"),
    ],
)
def test_a_wrong_setting_is_named(printed, settings, said):
    with pytest.raises(ValueError, match=said):
        files.render_file(printed, "png", **settings)


def test_a_figure_for_the_screen_is_refused():
    with pytest.raises(ValueError, match="made for 'light'.*mode='print'"):
        files.render_file(DRAW["accuracy"]("light"), "pdf")


def test_an_unknown_format_is_named(printed):
    with pytest.raises(ValueError, match="format: 'gif'.*pdf, svg, png"):
        files.render_file(printed, "gif")


# ── the browser ───────────────────────────────────────────────────────────────


def test_the_second_figure_is_far_quicker_than_the_first(printed):
    browser.close_browser()
    took = []
    for _ in range(3):
        start = time.perf_counter()
        files.render_file(printed, "svg")
        took.append(time.perf_counter() - start)
    assert min(took[1:]) < took[0] / 2


def test_threads_each_get_their_own_figure(printed):
    got = {}

    def draw(dpi):
        got[dpi] = files.render_file(printed, "png", dpi=dpi)

    threads = [threading.Thread(target=draw, args=(dpi,)) for dpi in (48, 96, 144, 192)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {dpi: struct.unpack(">I", file[16:20])[0] for dpi, file in got.items()} == {
        dpi: round(3.25 * dpi) for dpi in (48, 96, 144, 192)
    }


def test_a_browser_that_died_is_started_again(printed):
    files.render_file(printed, "svg")
    browser._kill(drawing_browsers())
    assert files.render_file(printed, "svg").startswith(b"<svg")


def test_closing_leaves_no_process_behind(printed):
    files.render_file(printed, "svg")
    left = drawing_browsers()
    browser.close_browser()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert left
    assert not alive


def test_without_a_browser_it_says_what_to_install_and_the_data_still_exports(printed, monkeypatch, tmp_path):
    browser.close_browser()
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("choreographer.browsers.chromium.get_chrome_download_path", lambda **_: None)
    monkeypatch.setattr("choreographer.browsers.chromium.get_old_chrome_download_path", lambda: None)
    with pytest.raises(errors.BrowserMissingError, match="apt install chromium"):
        files.render_file(printed, "pdf")
    assert "IAcc" in files.figure_csv(printed)
    assert not [
        thread
        for thread in threading.enumerate()
        if thread.name == "figure-export" and thread.is_alive() and not thread.join(5) and thread.is_alive()
    ]


# ── where it came from ────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def facts(printed):
    return files.provenance(printed, spec={"teacher": "é <b>"}, command="atesc distill", device="CPU")


def test_the_origin_names_spec_command_device_and_versions(facts):
    assert facts["figure"] == "accuracy"
    assert facts["device"] == "CPU"
    assert facts["versions"]["plotly"].startswith("7.")
    assert facts["spec"] == {"teacher": "é <b>"}
    assert facts["versions"]["atesc-lab"] == lab_version()
    assert yaml.safe_load(files.origin_yaml(facts)) == facts


def test_each_format_carries_its_origin(printed, facts):
    pdf = files.render_file(printed, "pdf", origin=facts)
    coded = re.search(rb"/ATEscOrigin <FEFF([0-9A-F]+)>", pdf)[1].decode()
    assert json.loads(bytes.fromhex(coded).decode("utf-16-be")) == facts

    svg = ElementTree.fromstring(files.render_file(printed, "svg", origin=facts))
    assert json.loads(svg.find(f"{SVG}metadata").text) == facts

    with Image.open(io.BytesIO(files.render_file(printed, "png", origin=facts))) as picture:
        assert json.loads(picture.text["ATEscOrigin"]) == facts


def test_the_pdfs_cross_references_point_at_objects(printed, facts):
    file = files.render_file(printed, "pdf", origin=facts)
    start = int(re.search(rb"startxref\s+(\d+)\s+%%EOF\s*$", file)[1])
    first, offset = re.match(rb"xref\n(\d+) 1\n(\d{10}) 00000 n ", file[start:]).groups()
    assert file[int(offset) :].startswith(first + b" 0 obj")
    previous = int(re.search(rb"/Prev (\d+)", file[start:])[1])
    assert file[previous:].startswith(b"xref")
    assert b"/Info " + first + b" 0 R" in file[start:]


def test_a_bundle_holds_figure_data_and_origin(printed, facts):
    packed = zipfile.ZipFile(
        io.BytesIO(
            files.zip_files(files.file_stem("my ../run"), printed, sheet.draw_sheet(printed), facts, kinds=("svg",))
        )
    )
    assert sorted(packed.namelist()) == ["my-..-run.csv", "my-..-run.svg", "my-..-run.yaml"]
    assert packed.read("my-..-run.csv").decode() == files.figure_csv(printed)


# ── the data ──────────────────────────────────────────────────────────────────


def read(figure) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(files.figure_csv(figure)))


def test_the_csv_gives_the_input_back():
    rows = read(DRAW["accuracy"]("light"))
    plain = rows[(rows["run"] == "plain") & (rows["metric"] == "IAcc")]
    assert plain["Epoch"].tolist() == PLAIN["epoch"].tolist()
    assert plain["per cent of test images"].tolist() == PLAIN["iacc"].tolist()
    assert set(rows["run"]) == {curve.name for curve in CURVES}


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "contact_sheet"])
@pytest.mark.parametrize("mode", ["light", "print"])
def test_every_csv_reads_back_as_it_was(name, mode):
    figure = DRAW[name](mode)
    table = files.figure_data(figure)
    again = read(figure)
    assert list(again) == list(table)
    assert len(again) == len(table) > 0
    assert "" not in list(table)
    for column in table.select_dtypes("number"):
        exact = table[column].to_numpy(float, na_value=np.nan)
        np.testing.assert_array_equal(again[column].to_numpy(float), exact)


def test_the_histograms_csv_counts_the_images():
    rows = read(DRAW["scores"]("light"))
    assert rows[rows["group"].isin(["fragile", "robust"])]["images"].sum() == len(SCORES)


def test_the_confusions_csv_has_the_counts():
    rows = read(DRAW["confusion"]("light"))
    assert rows["images"].tolist() == CONFUSION.ravel().tolist()


def test_the_embeddings_csv_has_the_ids():
    rows = read(DRAW["embedding"]("light"))
    assert sorted(rows["id"]) == SYNTHETIC["id"].tolist()


def test_every_mode_has_the_same_data():
    assert len({files.figure_csv(DRAW["accuracy"](mode)) for mode in theme.MODES}) == 1


# ── many points ───────────────────────────────────────────────────────────────


def test_points_are_dots_of_a_pen_each_where_it_was():
    svg = draw(venues.for_print(DRAW["embedding"]("print")))
    lean = merge_points(svg)
    places = [point.groups()[:2] for point in POINT.finditer(svg)]
    assert places
    assert not POINT.search(lean)
    edges = sum(point[5] != "0" and bool(point[7]) for point in POINT.finditer(svg))
    drawn = re.findall(r"M([-\d.e]+),([-\d.e]+)h\.01", lean)
    assert len(drawn) == len(places) + edges  # an outline each, and the dot within it
    assert set(drawn) == set(places)
    assert POINT.sub("", svg) == re.sub(r'<path d="(?:M[-\d.e,]+h\.01)+" [^>]*/>', "", lean)  # nothing else is touched


def test_a_dot_prints_as_the_point_did():
    svg = draw(venues.for_print(DRAW["embedding"]("print")))
    width, height = map(float, re.search(r'<svg [^>]*width="([\d.]+)" height="([\d.]+)"', svg).groups())
    before, after = (
        np.asarray(Image.open(io.BytesIO(print_svg(own, "png", width, height, 192))).convert("RGB"), int)
        for own in (svg, merge_points(svg))
    )
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 1.0  # of 255: edges only
    assert (before != 255).any(-1).sum() == pytest.approx((after != 255).any(-1).sum(), rel=0.05)
