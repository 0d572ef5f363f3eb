"""The chart's pure JavaScript functions in a real browser, compared with values worked out by hand or in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route

from atesc_core import paths
from pages.shared.ui.chart import thumbnails
from pages.shared.ui.javascript import bundle

pytestmark = pytest.mark.e2e
ORIGIN = "http://assets.test"  # answered by the test itself
THEME = {"text": "#111111", "background": "#ffffff", "border": "#cccccc", "font": "Inter", "mode": "light"}

Call = Callable[..., Any]


@pytest.fixture
def blank(page: Page) -> Page:
    """A blank page that can import the files of assets/."""

    def answer(route: Route) -> None:
        path = paths.ASSETS / route.request.url.removeprefix(f"{ORIGIN}/")
        if path.suffix == ".js":
            route.fulfill(body=path.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body="", content_type="text/html")

    page.route(f"{ORIGIN}/**", answer)
    page.goto(ORIGIN)
    return page


@pytest.fixture
def call(blank: Page) -> Call:
    """`call("chart/geometry.js", "clamp", 1, 2, 3)` is what the module's function returns for these arguments."""

    def call_function(module: str, name: str, *arguments: Any) -> Any:
        return blank.evaluate(
            "async ([url, name, values]) => (await import(url))[name](...values)",
            [f"{ORIGIN}/{module}", name, list(arguments)],
        )

    return call_function


def test_the_joined_modules_are_one_module_with_one_default_export(blank: Page):
    source = bundle(paths.ASSETS / "chart" / "chart.js")
    assert source.count("class Chart {") == source.count("function spritePosition(") == 1
    exports = blank.evaluate(
        """async (source) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          return Object.entries(await import(url)).map(([name, value]) => [name, typeof value]);
        }""",
        source,
    )
    assert exports == [["default", "function"]]


@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_picture_lies_where_python_says(call: Call, count: int):
    sheet = thumbnails(np.zeros((count, 3, 8, 8), np.uint8))
    size = {"side": sheet.side, "columns": sheet.columns, "rows": sheet.rows}
    for cell in {0, count // 2, count - 1}:
        across, down = call("chart/geometry.js", "spritePosition", cell, size).split()
        expected = [float(share.rstrip("%")) for share in sheet.position(cell).split()]
        assert [float(across.rstrip("%")), float(down.rstrip("%"))] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("frame", "arrow", "resize", "expected"),
    [
        ((0.4, 0.4, 0.2, 0.2), (1, 0), False, (0.42, 0.4, 0.2, 0.2)),
        ((0.4, 0.4, 0.2, 0.2), (0, -1), False, (0.4, 0.38, 0.2, 0.2)),
        ((0.79, 0.0, 0.2, 1.0), (1, 0), False, (0.8, 0.0, 0.2, 1.0)),  # as far as the plot goes
        ((0.4, 0.0, 0.2, 0.2), (0, -1), False, (0.4, 0.0, 0.2, 0.2)),
        ((0.4, 0.4, 0.2, 0.2), (1, 0), True, (0.4, 0.4, 0.22, 0.2)),
        ((0.4, 0.4, 0.59, 0.2), (1, 0), True, (0.4, 0.4, 0.6, 0.2)),
        ((0.4, 0.4, 0.03, 0.2), (-1, 0), True, (0.4, 0.4, 0.02, 0.2)),  # never smaller than a step
    ],
)
def test_a_step_of_the_selection_frame(call: Call, frame, arrow, resize: bool, expected):
    moved = call("chart/geometry.js", "stepFrame", dict(zip("xywh", frame, strict=True)), arrow, resize)
    assert [moved[side] for side in "xywh"] == pytest.approx(expected)


@pytest.mark.parametrize(("point", "inside"), [((0.5, 0.5), True), ((0.2, 0.4), True), ((0.1, 0.5), False)])
def test_what_lies_in_the_frame(call: Call, point, inside: bool):
    assert call("chart/geometry.js", "frameContains", {"x": 0.2, "y": 0.4, "w": 0.4, "h": 0.2}, *point) == inside


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ((100, 200), (116, 150)),  # right of the pointer, its middle at the pointer's height
        ((450, 200), (334, 150)),  # no room on the right: 450 - 16 - 100
        ((100, 20), (116, 0)),
        ((100, 390), (116, 300)),
    ],
)
def test_the_tooltip_stays_within_the_chart(call: Call, pointer, expected):
    at = dict(zip(("x", "y"), pointer, strict=True))
    position = call(
        "chart/geometry.js", "tooltipPosition", at, {"width": 100, "height": 100}, {"width": 500, "height": 400}
    )
    assert (position["left"], position["top"]) == expected


@pytest.mark.parametrize(
    ("x", "axis", "flipped", "shift"),
    [(50, 300, False, 0), (250, 300, True, 0), (100, 200, False, -12), (112, 200, True, 0), (5, 20, False, -57)],
)
def test_where_the_label_of_the_threshold_stands(call: Call, x: int, axis: int, flipped: bool, shift: int):
    assert call("chart/geometry.js", "labelPosition", x, axis, 100, 40) == {"flipped": flipped, "shift": shift}


@pytest.mark.parametrize(
    ("value", "step", "digits", "expected"),
    [
        (3.14, 0.1, 1, 3.1),
        (0.3000000001, 0.1, 1, 0.3),  # not 0.30000000000000004
        (-5, 0.1, 1, 0),
        (15.98, 0.1, 1, 15.97),  # the limit itself is no multiple of the step
        (7.4, 5, 0, 5),
    ],
)
def test_a_threshold_is_a_multiple_of_its_step_within_its_limits(call: Call, value, step, digits, expected):
    assert call("chart/geometry.js", "roundToStep", value, [0, 15.97], {"step": step, "digits": digits}) == expected


@pytest.mark.parametrize("threshold", [-1, 0, 1, 2.5, 3, 9, 10])
def test_how_many_scores_lie_at_or_below_the_threshold(call: Call, threshold: float):
    scores = np.array([0, 1, 1, 3, 3, 3, 9])
    values, counts = np.unique(scores, return_counts=True)
    levels = {"values": values.tolist(), "below": counts.cumsum().tolist()}
    assert call("chart/format.js", "countAtOrBelow", levels, threshold) == (scores <= threshold).sum()
    distinct = {"values": values.tolist(), "below": None}
    assert call("chart/format.js", "countAtOrBelow", distinct, threshold) == (values <= threshold).sum()


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (None, "ε 4.0/255"),
        (4, "ε 4.0/255 · fragile 25.0 % · robust 75.0 %"),
        (16, "ε 4.0/255 · fragile 6.2 % · robust 93.8 %"),  # 6.25 and 93.75: halves to even, as Python writes them
    ],
)
def test_what_the_threshold_says(call: Call, total: int | None, text: str):
    options = {"label": "ε", "left": "fragile", "right": "robust", "digits": 1, "unit": "/255"}
    options["scores"] = total and {"values": [1, 5], "below": [1, total], "total": total}
    assert call("chart/format.js", "thresholdText", options, 4) == text
    if total:
        assert f"{100 / total:.1f} %" in text


@pytest.mark.parametrize(
    ("text", "shorter"),
    [("ε 4.0/255 · fragile 82.0 % · robust 18.0 %", "ε 4.0/255 · fragile 82.0 %"), ("ε 4.0/255", "ε 4.0/255")],
)
def test_a_narrow_chart_leaves_the_other_sides_share_out(call: Call, text: str, shorter: str):
    """The chart's edge cut it, at 390 px."""
    assert call("chart/format.js", "withoutLastPart", text) == shorter


@pytest.mark.parametrize(("customdata", "expected"), [(7, 7), ("2:5", "2:5"), (["2:5", 1], "2:5")])
def test_the_id_of_a_point(call: Call, customdata, expected):
    assert call("chart/points.js", "idOf", {"customdata": customdata}) == expected
    assert call("chart/points.js", "idAt", {"customdata": [0, customdata]}, 1) == expected


def test_a_trace_without_ids_has_no_id(call: Call):
    assert call("chart/points.js", "idAt", {"x": [1]}, 0) is None


@pytest.mark.parametrize(("right", "same"), [([2, 1], True), ([1, 2, 2], True), ([1], False), ([1, 3], False)])
def test_ids_are_compared_as_sets(call: Call, right: list[int], same: bool):
    assert call("chart/points.js", "sameIds", [1, 2], right) == same


def figure_data(**changes: Any) -> dict[str, Any]:
    figure = {"data": [{"x": [1], "hovertemplate": "%{x}"}], "layout": {"width": 900, "font": {"size": 9}}}
    return {"figure": json.dumps(figure), "height": 300, "revision": "", "select": None, "thumbnails": None} | changes


def test_the_figure_gets_the_height_and_the_colours_of_the_page(call: Call):
    layout = call("chart/figure.js", "plotlyFigure", figure_data(), THEME)["layout"]
    assert layout["height"] == 300
    assert "width" not in layout
    assert layout["font"] == {"size": 9}  # what the figure sets itself stands beside the template
    assert layout["template"]["layout"]["font"] == {"family": "Inter", "color": "#111111"}
    assert layout["template"]["layout"]["xaxis"]["gridcolor"] == "#cccccc"
    assert layout["uirevision"]


def test_a_figure_drawn_for_this_theme_keeps_its_template(call: Call):
    figure = json.dumps({"data": [], "layout": {"meta": {"mode": "light"}, "template": {"layout": {}}}})
    layout = call("chart/figure.js", "plotlyFigure", figure_data(figure=figure), THEME)["layout"]
    assert layout["template"] == {"layout": {}}


@pytest.mark.parametrize(("select", "dragmode"), [("lasso", "lasso"), ("box", "select")])
def test_a_selectable_figure_has_the_tool_in_hand(call: Call, select: str, dragmode: str):
    drawn = call("chart/figure.js", "plotlyFigure", figure_data(select=select), THEME)
    assert drawn["layout"]["dragmode"] == dragmode
    assert drawn["config"]["modeBarButtons"][0] == ["zoom2d", "pan2d", "select2d", "lasso2d"]


def test_captions_stand_in_for_plotlys_own_hover_label(call: Call):
    (trace,) = call("chart/figure.js", "plotlyFigure", figure_data(thumbnails={"captions": ["a"]}), THEME)["traces"]
    assert trace == {"x": [1], "hoverinfo": "none"}
