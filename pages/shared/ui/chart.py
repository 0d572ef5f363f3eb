"""The one chart of every page: Plotly that keeps its node, and so the user's zoom, while its data changes.

`st.plotly_chart` (Streamlit 1.67) throws its node away whenever the figure changes and cannot show pictures
on hover. This component hands the new figure to the old node instead; assets/chart/chart.js is its other half.
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
    """A vertical line that the user drags (or moves with the arrow keys) along the x axis.

    value, low, high, step: in x-axis units; the line also stays within the axis.
    scores: when given, the line says which share of them lies at or below it (left) and above it (right).
    """

    value: float
    low: float | None = None
    high: float | None = None
    step: float = 0.1
    label: str = "threshold"
    unit: str = ""
    scores: Sequence[float] | np.ndarray | None = None
    left: str = "fragile"
    right: str = "robust"
    left_colour: str = "#56B4E9"
    right_colour: str = "#E69F00"


@dataclass(frozen=True)
class Thumbnails:
    """Square pictures on one sheet, row by row, as CSS backgrounds. Make it with `thumbnails`."""

    source: str  # PNG data URI
    side: int  # px of one picture, without the pixel of margin on each side
    columns: int
    rows: int
    count: int
    cells: dict[Id, int] | None = None  # point id -> picture; without it the id is the picture's index
    captions: list[str] | None = None

    @property
    def size(self) -> str:
        """CSS background-size at which one picture fills its element."""
        return " ".join(f"{100 * many * (self.side + 2) / self.side:.4f}%" for many in (self.columns, self.rows))

    def position(self, cell: int) -> str:
        """CSS background-position of a picture."""
        row, column = divmod(cell, self.columns)
        step = self.side + 2
        places = ((column, self.columns), (row, self.rows))
        return " ".join(f"{100 * (own * step + 1) / (many * step - self.side):.4f}%" for own, many in places)


@dataclass(frozen=True)
class ChartResult:
    """selected: ids of the points under the present lasso, box or click (none: empty).
    threshold: where the line was dropped, in the one run that follows the drop; otherwise None."""

    selected: tuple[Id, ...] = ()
    threshold: float | None = None


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

    select: the tool in hand at first; a click on a point selects with either, and keys do once the chart has the
        focus. A point's id is its `customdata`, or the first of them.
    selected: ids that are selected now, wherever that was done; where they are not those that the user selected
        here, they take their place, and `on_select` is not told. None: what is selected is the chart's own affair.
    revision: what this is a picture of. While it stays equal, zoom and selection stay; when it changes,
        both start afresh.
    label: what a screen reader says; the figure's title where it has one.
    on_select, on_threshold: called before the rerun with what the result will hold, early enough to set
        another widget's `st.session_state`.
    """
    revision = str(revision)
    state = _mount(
        key=key,
        data={
            "key": key,
            "figure": figure.to_json(),
            "plotly": f"component/{_plotly_js.name}/plotly.min.js",
            "height": int(height or figure.layout.height or DEFAULT_HEIGHT),
            "select": select,
            "selected": None if selected is None else list(selected),
            "heard": (_state(key) or {}).get("at"),
            "thumbnails": _thumbnail_data(thumbnails),
            "threshold": _threshold_data(threshold),
            "revision": revision,
            "scroll_zoom": scroll_zoom,
            "label": label or figure.layout.title.text or key,
            "mode": "dark" if st.context.theme.type == "dark" else "light",
        },
        default={"selection": None},
        height=int(height or figure.layout.height or DEFAULT_HEIGHT),
        on_selection_change=_forward(key, "selection", lambda value: on_select and on_select(_ids(value, revision))),
        on_threshold_change=_forward(key, "threshold", lambda value: on_threshold and on_threshold(float(value))),
        on_theme_change=lambda: None,  # the rerun is the answer: it draws in the new theme's colours
    )
    return ChartResult(selected=_ids(state.selection, revision), threshold=state.threshold)


def last_selected(key: str, revision: Hashable) -> tuple[Id, ...]:
    """Ids that the user last selected in the chart of this key itself, where that was on this revision."""
    return _ids(_state(key), str(revision))


def _state(key: str) -> dict[str, Any] | None:
    """What the chart in the browser said last of its selection."""
    state = st.session_state.get(key)
    return state.get("selection") if state else None


def thumbnails(
    images: np.ndarray, ids: Sequence[Id] | None = None, captions: Sequence[str] | None = None
) -> Thumbnails:
    """Put images on one sheet for `chart`.

    images: (N, 3, s, s), uint8 or float in [0, 1]. ids: the point id of each image; without them a point's
    id is the image's index. captions: text under each picture, lines split by newlines; with captions the
    picture and its caption stand in for Plotly's own hover label.
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
        cells=None if ids is None else {_plain(own): cell for cell, own in enumerate(ids)},
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
    own = np.frombuffer(pixels, np.uint8).reshape(shape)
    sheet[:count] = np.pad(own, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    grid = sheet.reshape(rows, columns, channels, side + 2, side + 2).transpose(0, 3, 1, 4, 2)
    file = io.BytesIO()
    picture = Image.fromarray(grid.reshape(rows * (side + 2), columns * (side + 2), channels))
    picture.save(file, "PNG", compress_level=1)  # small enough, and quick: it is made anew at each move of a line
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
    digits = max(0, -Decimal(str(threshold.step)).normalize().as_tuple().exponent)
    return vars(threshold) | {"digits": digits, "scores": _levels(threshold.scores)}


def _levels(scores: Sequence[float] | None) -> dict[str, Any] | None:
    """Each score once, ascending, and how many lie at or below it (None: one more each): 20 000 scores on a grid are
    a hundred, and they go to the browser at every move."""
    if scores is None or not len(scores):
        return None
    # JSON has no infinity; a score that no attack reached lies right of every line.
    values, counts = np.unique(np.clip(np.asarray(scores, float), -1e30, 1e30), return_counts=True)
    return {
        "values": values.tolist(),
        "below": None if (counts == 1).all() else counts.cumsum().tolist(),
        "total": len(scores),
    }


def _forward(key: str, event: str, tell: Callable[[Any], object]) -> Callable[[], None]:
    def callback() -> None:
        value = st.session_state[key].get(event)
        if value is not None:
            tell(value)

    return callback


def _ids(selection: dict[str, Any] | None, revision: str) -> tuple[Id, ...]:
    """Ids of a selection made on this revision of the chart; one made on an earlier one is over."""
    if not selection or selection.get("revision") != revision:
        return ()
    return tuple(selection["ids"])


def _plain(own: Id) -> Id:
    return own.item() if isinstance(own, np.generic) else own
