"""The chart of every page: Plotly in a component that keeps its node, and so the user's zoom, when its data changes.

``st.plotly_chart`` (Streamlit 1.67) replaces its node whenever the figure changes, and cannot show pictures on hover.
This component hands the new figure to the old node; assets/chart holds its browser half.
"""

import base64
import io
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import plotly
import plotly.graph_objects as go
import streamlit as st
from PIL import Image
from streamlit.components.v1 import declare_component

from atesc_core import paths
from pages.shared.ui import appearance
from pages.shared.ui.elements import Role
from pages.shared.ui.javascript import bundle

ASSETS = paths.ASSETS / "chart"
DEFAULT_HEIGHT = 360  # px

Id = int | str

# Plotly.js comes with the plotly package. Declaring a component (never mounted) on that folder makes
# Streamlit serve it: once a page, from the installed version, without a network or a copy in this repository.
_plotly_js = declare_component("plotly", path=str(Path(plotly.__file__).parent / "package_data"))

_mount = st.components.v2.component(
    "atesc_chart",
    js=bundle(ASSETS / "chart.js"),
    css=(ASSETS / "chart.css").read_text(),
    isolate_styles=False,  # Plotly puts its style sheet into the document, where a shadow root cannot see it
)


@dataclass(frozen=True)
class ThresholdHandle:
    """A vertical line that the user drags, or moves with the arrow keys, along the x axis.

    The line stays within the axis, and within [low, high]. Its label gives the threshold, and the shares of ``scores``
    at or below it (``left``) and above it (``right``).
    """

    value: float  # in units of the x axis, as are the next three
    low: float | None = None
    high: float | None = None
    step: float = 0.1
    label: str = "threshold"
    unit: str = ""
    scores: Sequence[float] | np.ndarray | None = None  # (N,)
    left: Role = "fragile"
    right: Role = "robust"


@dataclass(frozen=True)
class Thumbnails:
    """Square pictures on one sheet, row by row, as CSS backgrounds. ``thumbnails`` makes it."""

    source: str  # PNG data URI
    side: int  # px of one picture, without the pixel of margin on each side
    columns: int
    rows: int
    count: int
    cells: dict[Id, int] | None = None  # point id -> picture; None: the id is the picture's index
    captions: list[str] | None = None

    @property
    def size(self) -> str:
        """CSS background-size at which one picture fills its element."""
        return " ".join(f"{100 * count * (self.side + 2) / self.side:.4f}%" for count in (self.columns, self.rows))

    def position(self, cell: int) -> str:
        """CSS background-position of a picture."""
        row, column = divmod(cell, self.columns)
        step = self.side + 2
        axes = ((column, self.columns), (row, self.rows))
        return " ".join(f"{100 * (index * step + 1) / (count * step - self.side):.4f}%" for index, count in axes)


@dataclass(frozen=True)
class ChartResult:
    """What the user did in the chart."""

    selected: tuple[Id, ...] = ()  # ids of the points under the present lasso, box or click
    threshold: float | None = None  # where the line was dropped, in the one run that follows; otherwise None


def chart(
    figure: go.Figure,
    key: str,
    *,
    height: int | None = None,
    select: Literal["lasso", "box"] | None = None,
    selected: Sequence[Id] | None = None,
    thumbnails: Thumbnails | None = None,
    threshold: float | ThresholdHandle | None = None,
    revision: Hashable = "",
    scroll_zoom: bool = False,
    label: str | None = None,
    on_select: Callable[[tuple[Id, ...]], None] | None = None,
    on_threshold: Callable[[float], None] | None = None,
) -> ChartResult:
    """Draw the figure, or redraw it in place where one with this key already stands.

    Args:
        figure: what is drawn.
        key: of the component, one per page.
        height: px; the figure's own, else ``DEFAULT_HEIGHT``.
        select: the tool that is active at first. A click on a point selects with either, and so do keys once the chart
            has the focus. A point's id is its ``customdata``, or the first of them.
        selected: ids that are selected now. Where the user selected others in this chart, these replace them, and
            ``on_select`` is not called. None: only the chart knows what is selected.
        thumbnails: pictures shown on hover.
        threshold: a line to be dragged.
        revision: what this is a picture of. While it stays equal, zoom and selection stay; when it changes, both start
            afresh.
        scroll_zoom: whether the mouse wheel zooms.
        label: for screen readers; the figure's title, else the key, unless given.
        on_select: called with the selected ids before the rerun, early enough to set ``st.session_state`` of another
            widget.
        on_threshold: the same with the threshold.
    """
    revision = str(revision)

    def selection_changed() -> None:
        selection = st.session_state[key].get("selection")
        if on_select and selection is not None:
            on_select(_ids(selection, revision))

    def threshold_changed() -> None:
        dropped_at = st.session_state[key].get("threshold")
        if on_threshold and dropped_at is not None:
            on_threshold(float(dropped_at))

    state = _mount(
        key=key,
        data={
            "key": key,
            "figure": figure.to_json(),
            "plotly": f"component/{_plotly_js.name}/plotly.min.js",
            "height": int(height or figure.layout.height or DEFAULT_HEIGHT),
            "select": select,
            "selected": None if selected is None else list(selected),
            "acknowledged_at": (_selection_state(key) or {}).get("at"),
            "thumbnails": _thumbnail_data(thumbnails),
            "threshold": _threshold_data(threshold),
            "revision": revision,
            "scroll_zoom": scroll_zoom,
            "label": label or figure.layout.title.text or key,
            "mode": "dark" if st.context.theme.type == "dark" else "light",
        },
        default={"selection": None},
        height=int(height or figure.layout.height or DEFAULT_HEIGHT),
        on_selection_change=selection_changed,
        on_threshold_change=threshold_changed,
        on_theme_change=lambda: None,  # the rerun is the answer: it draws in the new theme's colours
    )
    return ChartResult(selected=_ids(state.selection, revision), threshold=state.threshold)


def last_selected(key: str, revision: Hashable) -> tuple[Id, ...]:
    """Ids that the user last selected in this very chart; empty where that was on another revision."""
    return _ids(_selection_state(key), str(revision))


def _selection_state(key: str) -> dict[str, Any] | None:
    """The selection as the chart in the browser last sent it."""
    state = st.session_state.get(key)
    return state.get("selection") if state else None


def thumbnails(
    images: np.ndarray, ids: Sequence[Id] | None = None, captions: Sequence[str] | None = None
) -> Thumbnails:
    """Put images on one sheet for ``chart``.

    Args:
        images: (N, 3, s, s), uint8 or float in [0, 1].
        ids: (N,) the point id of each image; the image's index unless given.
        captions: (N,) text under each picture, its lines split by newlines. With captions, the picture and its caption
            replace Plotly's own hover label.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = (images.clip(0, 1) * 255).round().astype(np.uint8)
    columns = max(1, math.isqrt(len(images)))
    return Thumbnails(
        source=_sheet(images.tobytes(), images.shape, columns),
        side=images.shape[-1],
        columns=columns,
        rows=max(1, math.ceil(len(images) / columns)),
        count=len(images),
        cells=None if ids is None else {_as_python(point): cell for cell, point in enumerate(ids)},
        captions=None if captions is None else list(captions),
    )


@lru_cache(maxsize=32)
def _sheet(pixels: bytes, shape: tuple[int, ...], columns: int) -> str:
    """PNG data URI of the images in rows of `columns`; cached because a live page draws it every second.

    Each picture's edge is repeated once around it: browsers blend neighbours at fractions of a pixel.
    """
    count, channels, side, _ = shape
    rows = max(1, math.ceil(count / columns))
    sheet = np.zeros((rows * columns, channels, side + 2, side + 2), np.uint8)
    images = np.frombuffer(pixels, np.uint8).reshape(shape)
    sheet[:count] = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    grid = sheet.reshape(rows, columns, channels, side + 2, side + 2).transpose(0, 3, 1, 4, 2)
    file = io.BytesIO()
    picture = Image.fromarray(grid.reshape(rows * (side + 2), columns * (side + 2), channels))
    picture.save(file, "PNG", compress_level=1)  # small enough, and quick: made anew at each move of a threshold
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _thumbnail_data(sheet: Thumbnails | None) -> dict[str, Any] | None:
    if sheet is None:
        return None
    return {
        "source": sheet.source,
        "size": sheet.size,
        "side": sheet.side,
        "columns": sheet.columns,
        "rows": sheet.rows,
        "count": sheet.count,
        "cells": sheet.cells,
        "captions": sheet.captions,
    }


def _threshold_data(threshold: float | ThresholdHandle | None) -> dict[str, Any] | None:
    if threshold is None:
        return None
    if not isinstance(threshold, ThresholdHandle):
        threshold = ThresholdHandle(float(threshold))
    digits = max(0, -int(Decimal(str(threshold.step)).normalize().as_tuple().exponent))
    return vars(threshold) | {
        "digits": digits,
        "scores": _cumulative(threshold.scores),
        "left_colour": appearance.colour(threshold.left),
        "right_colour": appearance.colour(threshold.right),
    }


def _cumulative(scores: Sequence[float] | np.ndarray | None) -> dict[str, Any] | None:
    """The distinct scores, ascending, and how many lie at or below each (``below``; None: one more each).

    They go to the browser at every move: of 20 000 scores on a grid about a hundred are distinct.
    """
    if scores is None or not len(scores):
        return None
    # JSON has no infinity; a score that no attack reached lies right of every threshold.
    values, counts = np.unique(np.clip(np.asarray(scores, float), -1e30, 1e30), return_counts=True)
    return {
        "values": values.tolist(),
        "below": None if (counts == 1).all() else counts.cumsum().tolist(),
        "total": len(scores),
    }


def _ids(selection: dict[str, Any] | None, revision: str) -> tuple[Id, ...]:
    """Ids of a selection; empty where it was made on another revision of the chart."""
    if not selection or selection.get("revision") != revision:
        return ()
    return tuple(selection["ids"])


def _as_python(point: Id | np.generic) -> Id:
    """A point's id as a Python number or text, as JSON takes it."""
    return point.item() if isinstance(point, np.generic) else point
