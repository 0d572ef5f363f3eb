"""The chart of every page: a Plotly component that keeps the user's zoom and selection when its data changes.

``st.plotly_chart`` (Streamlit 1.67) replaces its DOM node whenever the figure changes, and cannot show images on hover.
This component draws the new figure into the old node. Its JavaScript is in assets/chart.
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

# Plotly.js comes with the plotly package. This component is never mounted: declaring it makes Streamlit serve the
# package's folder, so that the browser loads the installed version, without a network or a copy in this repository.
_plotly_js = declare_component("plotly", path=str(Path(plotly.__file__).parent / "package_data"))

_mount = st.components.v2.component(
    "atesc_chart",
    js=bundle(ASSETS / "chart.js"),
    css=(ASSETS / "chart.css").read_text(),
    isolate_styles=False,  # Plotly adds its style sheet to the document, and a shadow root would not use it
)


@dataclass(frozen=True)
class ThresholdHandle:
    """A vertical line that the user drags, or moves with the arrow keys, along the x axis.

    The line stays within the axis and within [low, high]. Its label shows the threshold, the share of ``scores`` at or
    below it (in the colour of ``left``) and the share above it (in the colour of ``right``).
    """

    value: float  # in units of the x axis, as low, high and step
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
    """Square images on one sheet, row by row, for use as CSS backgrounds. ``thumbnails`` creates it."""

    source: str  # PNG data URI
    side: int  # px of one image, without the margin of one pixel on each side
    columns: int
    rows: int
    count: int
    cells: dict[Id, int] | None = None  # point id -> index of its image; None: the id is the index
    captions: list[str] | None = None

    @property
    def size(self) -> str:
        """CSS background-size at which one image fills its element."""
        return " ".join(f"{100 * count * (self.side + 2) / self.side:.4f}%" for count in (self.columns, self.rows))

    def position(self, cell: int) -> str:
        """CSS background-position of the image with index ``cell``."""
        row, column = divmod(cell, self.columns)
        step = self.side + 2
        axes = ((column, self.columns), (row, self.rows))
        return " ".join(f"{100 * (index * step + 1) / (count * step - self.side):.4f}%" for index, count in axes)


@dataclass(frozen=True)
class ChartResult:
    """What the user did in the chart."""

    selected: tuple[Id, ...] = ()  # ids of the points that are selected by lasso, box or click
    threshold: float | None = None  # set only in the run right after the user dropped the line


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
    """Draw the figure. If the page has a chart with this key already, draw the figure into it.

    Args:
        figure: the figure.
        key: key of the component, unique on the page.
        height: px; by default the height in the figure's layout, or ``DEFAULT_HEIGHT``.
        select: the selection tool that is active at first; None: points cannot be selected. A click on a point and
            the keyboard select too. A point's id is its ``customdata``, or the first entry of it.
        selected: ids of the points to show as selected. They replace what the user selected in this chart, without a
            call of ``on_select``. None: the selection is only in the chart.
        thumbnails: images shown on hover.
        threshold: a line that the user can drag.
        revision: identifies what the chart shows. While it stays equal, zoom and selection stay; a change resets both.
        scroll_zoom: whether the mouse wheel zooms.
        label: name for screen readers; by default the figure's title, or the key.
        on_select: called with the selected ids before the rerun, early enough to set ``st.session_state`` of another
            widget.
        on_threshold: called in the same way with the threshold.
    """
    revision = str(revision)

    def selection_changed() -> None:
        selection = st.session_state[key].get("selection")
        if on_select and selection is not None:
            on_select(_ids(selection, revision))

    def threshold_changed() -> None:
        value = st.session_state[key].get("threshold")
        if on_threshold and value is not None:
            on_threshold(float(value))

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
        on_theme_change=lambda: None,  # nothing to do: the rerun draws in the new theme's colours
    )
    return ChartResult(selected=_ids(state.selection, revision), threshold=state.threshold)


def last_selected(key: str, revision: Hashable) -> tuple[Id, ...]:
    """Ids that the user last selected in this chart; empty if the chart had another revision then."""
    return _ids(_selection_state(key), str(revision))


def _selection_state(key: str) -> dict[str, Any] | None:
    """The selection as the chart in the browser last sent it."""
    state = st.session_state.get(key)
    return state.get("selection") if state else None


def thumbnails(
    images: np.ndarray, ids: Sequence[Id] | None = None, captions: Sequence[str] | None = None
) -> Thumbnails:
    """Combine images into one sheet for ``chart``.

    Args:
        images: (N, 3, s, s), uint8 or float in [0, 1].
        ids: (N,) the point id of each image; by default the image's index.
        captions: (N,) text under each image; newlines separate lines. With captions, the image and its caption replace
            Plotly's hover label.
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

    Around each image its edge pixels are repeated once, because browsers blend neighbouring images at the borders.
    """
    count, channels, side, _ = shape
    rows = max(1, math.ceil(count / columns))
    sheet = np.zeros((rows * columns, channels, side + 2, side + 2), np.uint8)
    images = np.frombuffer(pixels, np.uint8).reshape(shape)
    sheet[:count] = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    grid = sheet.reshape(rows, columns, channels, side + 2, side + 2).transpose(0, 3, 1, 4, 2)
    file = io.BytesIO()
    picture = Image.fromarray(grid.reshape(rows * (side + 2), columns * (side + 2), channels))
    picture.save(file, "PNG", compress_level=1)  # fast, and small enough: each move of a threshold encodes it again
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
    """The distinct scores, ascending, and how many scores lie at or below each (``below``; None: 1, 2, 3, ...).

    The browser receives them at every move of the threshold. Of 20 000 scores on a grid about a hundred are distinct.
    """
    if scores is None or not len(scores):
        return None
    # JSON has no infinity. An infinite score (no attack changed the label) lies right of every threshold.
    values, counts = np.unique(np.clip(np.asarray(scores, float), -1e30, 1e30), return_counts=True)
    return {
        "values": values.tolist(),
        "below": None if (counts == 1).all() else counts.cumsum().tolist(),
        "total": len(scores),
    }


def _ids(selection: dict[str, Any] | None, revision: str) -> tuple[Id, ...]:
    """Ids of a selection; empty if it belongs to another revision of the chart."""
    if not selection or selection.get("revision") != revision:
        return ()
    return tuple(selection["ids"])


def _as_python(point: Id | np.generic) -> Id:
    """A point's id as a Python number or text, for JSON."""
    return point.item() if isinstance(point, np.generic) else point
