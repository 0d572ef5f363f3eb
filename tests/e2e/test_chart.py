"""The chart in a real browser: what the user did to it outlives what the script does to it."""

import json
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chart, drag, hold_key, wait_until_idle

pytestmark = pytest.mark.e2e
ALONE = 12  # the point of the cloud that is farthest from any other


@pytest.fixture(scope="module")
def chart_server(serve):
    return serve([sys.executable, "-m", "streamlit", "run", Path(__file__).with_name("chart_app.py")])


@pytest.fixture
def chart_page(page: Page, chart_server) -> Page:
    page.goto(chart_server.url)
    for name in ("live", "cloud", "histogram"):
        chart(page, name).locator(".main-svg").first.wait_for()
    return page


def plot_area(page: Page, name: str) -> dict:
    return chart(page, name).locator(".nsewdrag").first.bounding_box()


def x_range(page: Page, name: str) -> list[float]:
    return chart(page, name).locator(".js-plotly-plot").evaluate("plot => plot._fullLayout.xaxis.range.slice()")


def points(page: Page, name: str) -> int:
    return chart(page, name).locator(".js-plotly-plot").evaluate("plot => plot.data[0].x.length")


def wait_for_more(page: Page, name: str, count: int) -> None:
    page.wait_for_function(
        "([name, count]) => document.querySelector(`[data-chart=${name}] .js-plotly-plot`)?.data[0].x.length > count",
        arg=[name, count],
    )


def test_on_a_touch_screen_the_icons_cover_the_curves_of_a_touched_chart_only(browser: Browser, chart_server):
    """Where no pointer hovers, Plotly always shows them."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(chart_server.url)
    icons = chart(page, "live").locator(".modebar")
    expect(icons).to_have_css("opacity", "0")
    chart(page, "live").locator(".nsewdrag").first.tap()
    expect(icons).to_have_css("opacity", "1")
    page.get_by_test_id("stText").first.tap()
    expect(icons).to_have_css("opacity", "0")
    context.close()


def test_zoom_and_node_survive_live_updates(chart_page: Page):
    wait_for_more(chart_page, "live", 3)
    chart_page.evaluate("window.node = document.querySelector('[data-chart=live] .main-svg')")
    area = plot_area(chart_page, "live")
    across = (area["x"] + 0.1 * area["width"], area["x"] + 0.6 * area["width"])
    middle = area["y"] + area["height"] / 2
    drag(chart_page, (across[0], middle), (across[1], middle))
    zoomed = x_range(chart_page, "live")
    wait_for_more(chart_page, "live", points(chart_page, "live") + 3)
    assert x_range(chart_page, "live") == zoomed
    assert chart_page.evaluate("window.node === document.querySelector('[data-chart=live] .main-svg')")


def test_an_untouched_axis_follows_the_data(chart_page: Page):
    before = x_range(chart_page, "live")
    wait_for_more(chart_page, "live", points(chart_page, "live") + 3)
    assert x_range(chart_page, "live")[1] > before[1]


def test_plotly_is_fetched_once(chart_page: Page):
    wait_for_more(chart_page, "live", points(chart_page, "live") + 1)
    scripts = chart_page.evaluate(
        "performance.getEntriesByType('resource').filter(r => r.name.includes('plotly')).length"
    )
    assert scripts == 1


def test_lasso_returns_ids_and_keeps_them(chart_page: Page):
    area = plot_area(chart_page, "cloud")
    left, right = area["x"] + 5, area["x"] + area["width"] - 5
    top, bottom = area["y"] + 5, area["y"] + area["height"] - 5
    drag(chart_page, (left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    expect(chart_page.get_by_text("selected 64: [0, 1, 2, 3, 4,")).to_be_visible()
    wait_for_more(chart_page, "live", points(chart_page, "live") + 2)
    expect(chart_page.get_by_text("selected 64: [0, 1, 2, 3, 4,")).to_be_visible()
    chart_page.mouse.dblclick(left + 3, top + 3)
    expect(chart_page.get_by_text("selected 0: []")).to_be_visible()


def test_hover_shows_a_picture_and_its_caption_as_text(chart_page: Page):
    node = chart(chart_page, "cloud").locator(".js-plotly-plot")
    x, y = node.evaluate(POINT, ALONE)
    box = node.bounding_box()
    chart_page.mouse.move(box["x"] + x - 2, box["y"] + y)
    chart_page.mouse.move(box["x"] + x, box["y"] + y)
    tip = chart(chart_page, "cloud").locator(".atesc-chart-tip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text(f"image {ALONE}\n<b>class</b>")  # the caption is text, whatever it holds
    picture = tip.locator(".atesc-chart-tip-picture")
    assert picture.evaluate("e => getComputedStyle(e).backgroundImage").startswith('url("data:image/png')


def test_dropping_the_threshold_reports_its_value(chart_page: Page):
    line = chart(chart_page, "histogram").get_by_role("slider")
    grip = line.bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    drag(chart_page, (x, y), (x + 80, y))
    dropped = float(line.get_attribute("aria-valuenow"))
    assert dropped > 4.5
    expect(chart_page.get_by_text(f"threshold {dropped:.1f}")).to_be_visible()
    expect(line).to_have_attribute("aria-valuenow", str(dropped))  # and it stays where it was dropped


def test_the_threshold_moves_by_keys(chart_page: Page):
    line = chart(chart_page, "histogram").get_by_role("slider")
    line.focus()
    before = float(line.get_attribute("aria-valuenow"))
    hold_key(chart_page, "ArrowLeft", 3)
    expect(chart_page.get_by_text(f"threshold {before - 0.3:.1f}")).to_be_visible()


def test_a_line_under_ones_fingers_is_not_moved_by_a_run(chart_page: Page):
    """A live run that found a new threshold while a user pressed arrows took the line away from them."""
    line = chart(chart_page, "histogram").get_by_role("slider")
    line.focus()
    chart_page.keyboard.down("ArrowRight")
    drawn = chart(chart_page, "histogram").get_attribute("data-drawn")
    chart_page.get_by_label("a run moves it").evaluate("box => box.click()")  # the line keeps the focus
    expect(chart_page.get_by_text("moved", exact=True)).to_be_visible()
    expect(chart_page.get_by_text("threshold 10.0")).to_be_visible()
    expect(chart(chart_page, "histogram")).not_to_have_attribute("data-drawn", drawn)
    chart_page.keyboard.up("ArrowRight")
    assert line.get_attribute("aria-valuenow") == "4.1"
    expect(chart_page.get_by_text("threshold 4.1")).to_be_visible()


@pytest.mark.parametrize("value", [0.5, 2.0, 5.0, 12.0])
def test_what_the_threshold_says_stays_within_a_narrow_chart(chart_page: Page, value: float):
    """It was flipped to the left of the line wherever it had no room on the right, and cut off there."""
    chart_page.set_viewport_size({"width": 900, "height": 900})
    line = chart(chart_page, "histogram").get_by_role("slider")
    line.focus()
    while abs(beyond := float(line.get_attribute("aria-valuenow")) - value) > 0.55:
        chart_page.keyboard.press("PageDown" if beyond > 0 else "PageUp")
    expect(chart_page.get_by_text(f"threshold {float(line.get_attribute('aria-valuenow')):.1f}")).to_be_visible()
    word, whole = (
        line.locator(".atesc-chart-threshold-label").bounding_box(),
        chart(chart_page, "histogram").bounding_box(),
    )
    assert whole["x"] <= word["x"]
    assert word["x"] + word["width"] <= whole["x"] + whole["width"]


def test_no_button_sends_the_chart_anywhere(chart_page: Page):
    titles = chart(chart_page, "cloud").locator(".modebar-btn").evaluate_all("all => all.map(b => b.dataset.title)")
    assert titles == ["Zoom", "Pan", "Box Select", "Lasso Select", "Reset axes"]


def test_a_change_of_theme_redraws_in_its_colours(chart_page: Page):
    chart_page.emulate_media(color_scheme="dark")
    ink = "p => p._fullLayout.font.color"
    node = chart(chart_page, "cloud").locator(".js-plotly-plot")
    chart_page.wait_for_function(
        "() => document.querySelector('[data-chart=cloud] .js-plotly-plot')?._fullLayout.font.color === '#E8ECF1'"
    )
    assert node.evaluate(ink) == "#E8ECF1"


def drawn_ids(page: Page) -> set[int]:
    """Ids that Plotly draws as selected."""
    return set(
        chart(page, "cloud")
        .locator(".js-plotly-plot")
        .evaluate("p => p._fullData.flatMap(trace => (trace.selectedpoints ?? []).map(at => trace.customdata[at]))")
    )


def reported_ids(page: Page) -> set[int]:
    """Ids that Python received."""
    return set(json.loads(page.get_by_test_id("stText").filter(has_text="selected").text_content().split(": ")[1]))


def lasso_left_half(page: Page) -> None:
    area = plot_area(page, "cloud")
    left, middle = area["x"] + 5, area["x"] + area["width"] / 2
    top, bottom = area["y"] + 5, area["y"] + area["height"] - 5
    drag(page, (left, top), (middle, top), (middle, bottom), (left, bottom), (left, top))
    expect(page.get_by_text("selected 0:")).to_have_count(0)


def test_a_lasso_outlives_a_recolouring(chart_page: Page):
    lasso_left_half(chart_page)
    before = reported_ids(chart_page)
    chart_page.get_by_text("recolour").click()
    chart_page.wait_for_function(
        "() => document.querySelector('[data-chart=cloud] .js-plotly-plot')?.data.length === 2"
    )
    assert reported_ids(chart_page) == drawn_ids(chart_page) == before


def test_a_lasso_takes_what_lies_in_it_after_points_moved(chart_page: Page):
    lasso_left_half(chart_page)
    before = reported_ids(chart_page)
    chart_page.get_by_text("move", exact=True).click()
    chart_page.wait_for_function("before => !document.body.innerText.includes(before)", arg=f"{sorted(before)}")
    assert reported_ids(chart_page) == drawn_ids(chart_page) != before


def test_a_clicked_point_stays_selected_wherever_it_goes(chart_page: Page):
    click_point(chart_page, ALONE)
    expect(chart_page.get_by_text("selected 1:")).to_be_visible()
    chart_page.get_by_text("recolour").click()
    expect(chart_page.get_by_text("in two colours")).to_be_visible()
    wait_until_idle(chart_page)
    chart_page.get_by_text("move", exact=True).click()
    expect(chart_page.get_by_role("checkbox", name="move", exact=True)).to_be_checked()
    wait_until_idle(chart_page)
    chart_page.wait_for_function(
        "() => document.querySelector('[data-chart=cloud] .js-plotly-plot')?.data.length === 2"
    )
    assert reported_ids(chart_page) == drawn_ids(chart_page) == {ALONE}


def test_keys_do_what_a_lasso_does(chart_page: Page):
    """Without a mouse nothing could be selected on a map."""
    frame = chart(chart_page, "cloud").get_by_role("application")
    frame.focus()
    hint = frame.get_by_text("Arrows move the frame")
    expect(hint).to_be_visible()
    for key, times in {"ArrowLeft": 5, "ArrowUp": 3, "Shift+ArrowRight": 8, "Shift+ArrowDown": 6}.items():
        for _ in range(times):
            chart_page.keyboard.press(key)
    drawn_frame, area = frame.locator(".atesc-chart-frame").bounding_box(), plot_area(chart_page, "cloud")
    within = (
        chart(chart_page, "cloud")
        .locator(".js-plotly-plot")
        .evaluate(
            POINTS_WITHIN,
            {
                "x": drawn_frame["x"] - area["x"],
                "y": drawn_frame["y"] - area["y"],
                "width": drawn_frame["width"],
                "height": drawn_frame["height"],
            },
        )
    )
    assert drawn_frame["width"] == pytest.approx(0.36 * area["width"], abs=1)
    assert drawn_frame["x"] - area["x"] == pytest.approx(0.3 * area["width"], abs=1)
    assert 5 < len(within) < 60
    chart_page.keyboard.press("Enter")
    expect(chart_page.get_by_text(f"selected {len(within)}: {within}")).to_be_visible()
    assert reported_ids(chart_page) == drawn_ids(chart_page)
    chart_page.keyboard.press("Escape")
    expect(chart_page.get_by_text("selected 0: []")).to_be_visible()
    assert drawn_ids(chart_page) == set()


def test_the_frame_of_the_keys_stays_within_the_chart_and_out_of_the_mouses_way(chart_page: Page):
    frame = chart(chart_page, "cloud").get_by_role("application")
    frame.focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
        for _ in range(45):
            chart_page.keyboard.press(key)
    own, area = frame.locator(".atesc-chart-frame").bounding_box(), plot_area(chart_page, "cloud")
    assert own["x"] + own["width"] <= area["x"] + area["width"] + 1
    assert own["y"] + own["height"] <= area["y"] + area["height"] + 1
    assert own["width"] == pytest.approx(0.02 * area["width"], abs=1)
    lasso_left_half(chart_page)
    assert reported_ids(chart_page) == drawn_ids(chart_page)


POINTS_WITHIN = """(plot, { x, y, width, height }) => {
  const { xaxis, yaxis } = plot._fullLayout;
  return plot._fullData.flatMap((trace) => [...trace.customdata].filter((_, at) => {
    const right = xaxis.d2p(trace.x[at]) - x, down = yaxis.d2p(trace.y[at]) - y;
    return right > 0 && right < width && down > 0 && down < height;
  }));
}"""


def click_point(page: Page, index: int) -> None:
    node = chart(page, "cloud").locator(".js-plotly-plot")
    x, y = node.evaluate(POINT, index)
    box = node.bounding_box()
    page.mouse.move(box["x"] + x - 2, box["y"] + y)
    page.mouse.click(box["x"] + x, box["y"] + y)


POINT = """(plot, index) => {
  const { xaxis, yaxis } = plot._fullLayout;
  const trace = plot._fullData[0];
  return [xaxis._offset + xaxis.d2p(trace.x[index]), yaxis._offset + yaxis.d2p(trace.y[index])];
}"""
