"""Selected samples in the histogram of scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from atesc_core.figures import theme
from atesc_core.figures.scores import bin_index, bin_names
from atesc_core.figures.theme import trace_id

MARK_HEIGHT = 0.045  # of the marks above the x axis, as a share of the y axis


def mark_samples(figure: go.Figure, values: ArrayLike, ids: Sequence[str], edges: ArrayLike) -> go.Figure:
    """Add a mark for each selected sample to a figure of ``scores``, and return the figure.

    ``values``: (N,) their scores; ``ids``: their names, the points' ``customdata``; ``edges``: edges of the bins. A
    score of ∞ is marked in the bin of ∞, a score outside the edges at the nearer edge.
    """
    values, edges = np.asarray(values, float), np.asarray(edges, float)
    style = theme.style(figure.layout.meta["mode"])
    infinity = edges[-1] + 1.5 * (edges[1] - edges[0])
    x = np.where(np.isposinf(values), infinity, np.clip(values, edges[0], edges[-1]))
    figure.add_scatter(
        x=x,
        y=np.full(len(x), MARK_HEIGHT * figure.layout.yaxis.range[1]),
        mode="markers",
        cliponaxis=False,
        customdata=list(ids),
        uid=trace_id("scores", "selected"),
        name=f"{theme.format_count(len(x))} selected",
        hoverinfo="name",
        marker={
            "symbol": "line-ns-open",
            "size": 2 * style.dot_size,
            "color": style.ink,
            "line_width": style.thin_width,
        },
        meta={"group": "selected"},
    )
    return figure


def in_bins(values: ArrayLike, edges: ArrayLike, names: Sequence[str]) -> NDArray[np.int64]:
    """Ascending indices of the samples with scores in the named bins (``bin_names``, the bars' customdata)."""
    edges = np.asarray(edges, float)
    bins = [index for index, name in enumerate(bin_names(edges)) if name in set(names)]
    return np.flatnonzero(np.isin(bin_index(np.asarray(values, float), edges), bins))
