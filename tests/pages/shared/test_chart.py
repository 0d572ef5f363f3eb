"""What the chart hands to the browser and takes from it, without a browser."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.shared.ui.chart import ThresholdHandle, _ids, _threshold_data, thumbnails


def script():
    import plotly.graph_objects as go

    from pages.shared.ui.chart import chart

    result = chart(go.Figure(go.Scatter(x=[1, 2], y=[3, 4], customdata=[10, 11])), "points", select="lasso", height=300)
    assert result.selected == ()
    assert result.threshold is None


def sent(app: AppTest) -> dict:
    (element,) = app.get("bidi_component")
    return json.loads(element.proto.json)


def test_a_script_with_a_chart_runs_in_apptest():
    app = AppTest.from_function(script).run()
    assert not app.exception
    data = sent(app)
    assert (data["key"], data["height"], data["select"], data["threshold"]) == ("points", 300, "lasso", None)
    assert json.loads(data["figure"])["data"][0]["customdata"] == [10, 11]


def test_plotly_is_served_from_the_installed_package():
    app = AppTest.from_function(script).run()
    assert sent(app)["plotly"] == "component/pages.shared.ui.chart.plotly/plotly.min.js"


def test_a_selection_counts_only_on_the_revision_it_was_made_on():
    assert _ids({"ids": [3, 5], "revision": "epoch 1"}, "epoch 1") == (3, 5)
    assert _ids({"ids": [3, 5], "revision": "epoch 1"}, "epoch 2") == ()
    assert _ids(None, "epoch 1") == ()


def selecting():
    import plotly.graph_objects as go
    import streamlit as st

    from pages.shared.ui.chart import chart

    chart(go.Figure(), "points", select="lasso", selected=(4, 5) if "elsewhere" in st.query_params else None)


def test_the_browser_is_told_what_was_selected_elsewhere():
    app = AppTest.from_function(selecting)
    assert (sent(app.run())["selected"], sent(app)["acknowledged_at"]) == (None, None)
    app.query_params["elsewhere"] = "yes"
    assert sent(app.run())["selected"] == [4, 5]


@pytest.mark.parametrize(("step", "digits"), [(0.1, 1), (0.25, 2), (1, 0), (5, 0), (0.01, 2)])
def test_the_line_writes_as_many_digits_as_its_step_needs(step, digits):
    assert _threshold_data(ThresholdHandle(4.0, step=step))["digits"] == digits


def test_scores_that_no_attack_reached_lie_right_of_every_line():
    data = _threshold_data(ThresholdHandle(4.0, scores=[1.0, np.inf, -np.inf]))
    left, one, right = json.loads(json.dumps(data, allow_nan=False))["scores"]["values"]
    assert (one, right > 1e9, left < -1e9) == (1.0, True, True)


def test_scores_go_to_the_browser_once_each_with_how_many_lie_at_or_below():
    assert _threshold_data(ThresholdHandle(4.0, scores=[2.0, 1.0, 2.0, 0.5]))["scores"] == {
        "values": [0.5, 1.0, 2.0],
        "below": [1, 2, 4],
        "total": 4,
    }
    assert _threshold_data(ThresholdHandle(4.0, scores=[2.0, 1.0]))["scores"] == {
        "values": [1.0, 2.0],
        "below": None,
        "total": 2,
    }
    assert _threshold_data(ThresholdHandle(4.0, scores=[]))["scores"] is None


@pytest.mark.parametrize("count", [1, 2, 7, 48])
def test_every_thumbnail_lies_where_its_position_says(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), np.uint8)
    sheet = thumbnails(images)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.source.split(",")[1]))))
    for cell, image in enumerate(images):
        # CSS: offset = (element - background) x position, in units of the element, which shows 16 px.
        left, top = (
            round(float(place[:-1]) / 100 * (length - 16))
            for place, length in zip(sheet.position(cell).split(), (picture.shape[1], picture.shape[0]), strict=True)
        )
        np.testing.assert_array_equal(picture[top : top + 16, left : left + 16], image.transpose(1, 2, 0))


def test_float_images_in_0_1_give_the_same_sheet():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), np.uint8)
    assert thumbnails(pixels).source == thumbnails(pixels / 255).source


def test_ids_may_be_any_that_customdata_may_be():
    sheet = thumbnails(np.zeros((2, 3, 4, 4)), ids=np.array([7, 9]))
    assert json.loads(json.dumps(sheet.cells)) == {"7": 0, "9": 1}


def test_a_figure_without_title_is_named_by_its_key():
    app = AppTest.from_function(script).run()
    assert sent(app)["label"] == "points"
