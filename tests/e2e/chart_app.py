"""The script that tests/e2e/test_chart.py shows: a live line, a map with pictures, a histogram with a threshold."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from pages.shared.state.controlled_widget import controlled_widget  # noqa: E402
from pages.shared.streamlit_repairs import repair  # noqa: E402
from pages.shared.ui.chart import ThresholdHandle, chart, thumbnails  # noqa: E402

repair()  # as the lab's server does
st.set_page_config(layout="wide")
st.session_state.setdefault("ticks", 0)
random = np.random.default_rng(0)


@st.fragment(run_every=0.5)
def live():
    st.session_state.ticks += 1
    ticks = st.session_state.ticks
    figure = go.Figure(go.Scatter(x=list(range(ticks)), y=np.sin(np.arange(ticks) / 5)))
    figure.update_layout(xaxis_title="tick", yaxis_title="sine", title="Live")
    chart(figure, "live")
    st.text(f"ticks {ticks}")


@st.fragment
def cloud():
    points = np.random.default_rng(1).normal(size=(64, 2))
    if st.checkbox("move"):
        points = -points
    names = np.arange(64)
    groups = [names]
    if st.checkbox("recolour"):
        groups = [names[::2], names[1::2]]
        st.text("in two colours")
    figure = go.Figure()
    for group in groups:
        figure.add_scattergl(x=points[group, 0], y=points[group, 1], customdata=group, mode="markers")
    captions = [f"image {i}\n<b>class</b> {i % 10}" for i in range(64)]
    pictures = thumbnails(random.random((64, 3, 16, 16)), captions=captions)
    result = chart(figure, "cloud", select="lasso", thumbnails=pictures)
    st.text(f"selected {len(result.selected)}: {sorted(result.selected)}")


@st.fragment
def histogram():
    state = st.session_state
    state.setdefault("threshold", 4.0)
    choose = partial(state.__setitem__, "threshold")
    scores = random.gamma(4, 1.2, 500)
    counts, edges = np.histogram(scores, 30, (0, 16))
    figure = go.Figure(go.Bar(x=(edges[1:] + edges[:-1]) / 2, y=counts, marker_color="#56B4E9"))
    figure.update_layout(xaxis_title="min ε (1/255)", yaxis_title="images", bargap=0.02)
    chart(
        figure,
        "histogram",
        threshold=ThresholdHandle(state.threshold, low=0, high=16, step=0.1, label="ε", scores=scores),
        on_threshold=choose,
    )
    # As on the real page. With the threshold at its own key, the live chart's timer could bring back the slider's value
    # from before the line was moved.
    slider = controlled_widget("epsilon", state.threshold, choose, initial="value")
    st.slider("epsilon", 0.0, 16.0, step=0.1, **slider)
    st.text(f"threshold {state.threshold:.1f}")
    st.checkbox("a run moves it", key="moved", on_change=choose, args=(10.0,))
    st.text("moved" if state.moved else "")


left, right = st.columns(2)
with left:
    live()
    histogram()
with right:
    cloud()
