"""The map of the teacher's feature space: real ID and OOD images as background, synthetic images as dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import CLASS_COLOURS, Mode, Style, format_number, trace_id
from atesc_core.vocabulary import SCORE_TITLES

ColourBy = Literal["group", "score", "class", "domain"]
Floats = NDArray[np.float64]
Ranges = list[tuple[float, float]]  # of x and y: lowest and highest value
GRID = 96  # cells a side of the density's grid
LEVELS = {"start": 0.08, "end": 0.83, "size": 0.25}  # contours, as shares of the density's peak


def embedding(
    reference: pd.DataFrame,
    synthetic: pd.DataFrame | None = None,
    mode: Mode = "light",
    *,
    colour: ColourBy = "group",
    method: Literal["UMAP", "PCA"] = "UMAP",
    ground: Literal["density", "points"] = "density",
    score: str = "min_eps",
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
    within: pd.DataFrame | None = None,
) -> go.Figure:
    """Embedding.

    A point's ``id`` is the first of its ``customdata``. In print the points are Scatter, since Scattergl would become
    pixels.

    Args:
        reference: Columns ``x``, ``y``, ``domain`` (id or ood), and if available ``id`` (a point's name) and ``class``.
        synthetic: Columns ``x``, ``y``, ``id``, and the column for ``colour``: ``fragile`` (bool), ``score``, or
            ``class`` (the teacher's label, an index). ``to_id`` and ``to_ood`` (k-NN distances) are shown on hover.
        mode: light, dark or print.
        colour: The property that colours synthetic images; ``domain`` leaves them grey.
        method: Method of the map.
        ground: Draw ID and OOD as density, or as light points that can be selected.
        score: Name of the score in ``synthetic``.
        threshold: The middle of the score's colours; their median unless given.
        class_names: Names of the teacher's classes.
        within: ``x``, ``y`` of the points of all epochs, so that the axes are the same in each epoch.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "embedding", f"{method} 1 (a.u.)", f"{method} 2 (a.u.)", aspect=0.85)
    figure.update_layout(dragmode=None, legend={"traceorder": "normal", "itemsizing": "constant"})
    if not len(reference):
        return theme.show_message(figure, "The map is empty: it needs features of real ID and OOD images")
    ranges = _axis_ranges(reference, synthetic if within is None else within)
    for domain in ("id", "ood"):
        rows = reference[reference["domain"] == domain]
        if ground == "density":
            _density(figure, style, domain, rows, ranges)
        else:
            _dots(figure, style, rows, role=domain, name=f"{domain.upper()} validation", size=0.6, opacity=0.35)
    if synthetic is not None and len(synthetic):
        _SYNTHETIC[colour](figure, style, synthetic, score, threshold, class_names)
    bare = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
    figure.update_xaxes(**bare, range=ranges[0])
    figure.update_yaxes(**bare, range=ranges[1], scaleanchor="x", scaleratio=1)
    return figure


def _axis_ranges(*frames: pd.DataFrame | None) -> Ranges:
    """Ranges of both axes that hold the points of every frame, with a margin."""
    points = np.concatenate([frame[["x", "y"]].to_numpy(float) for frame in frames if frame is not None])
    low, high = points.min(0), points.max(0)
    margin = 0.06 * np.maximum(high - low, 1e-6)
    ranges: Ranges = list(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
    return ranges


def density(x: Floats, y: Floats, ranges: Ranges) -> tuple[Floats, Floats, Floats]:
    """Grid x (GRID,), grid y (GRID,), and a smoothed histogram of the points, (GRID, GRID) in 0..1."""
    edges = [np.linspace(low, high, GRID + 1) for low, high in ranges]
    counts, _, _ = np.histogram2d(y, x, bins=edges[::-1])
    reach = np.arange(-9, 10)
    kernel = np.exp(-0.5 * (reach / 2.6) ** 2)
    smooth = np.apply_along_axis(np.convolve, 0, counts, kernel, mode="same")
    smooth = np.apply_along_axis(np.convolve, 1, smooth, kernel, mode="same")
    centres = [(edge[:-1] + edge[1:]) / 2 for edge in edges]
    return centres[0], centres[1], smooth / max(smooth.max(), 1e-12)


def _density(figure: go.Figure, style: Style, domain: str, rows: pd.DataFrame, ranges: Ranges) -> None:
    """Draw the density in one transparent colour; it gets darker where plotly fills several levels over each other."""
    if not len(rows):
        return
    x, y, z = density(rows["x"].to_numpy(float), rows["y"].to_numpy(float), ranges)
    shade = theme.tint(style.colour(domain), 0.14)
    figure.add_contour(
        x=x,
        y=y,
        z=z,
        zmin=0,
        zmax=1,
        autocontour=False,
        colorscale=[
            [0, theme.tint(style.colour(domain), 0)],
            [LEVELS["start"], theme.tint(style.colour(domain), 0)],
            [LEVELS["start"], shade],
            [1, shade],
        ],
        contours={**LEVELS, "coloring": "fill", "showlines": False},
        line_width=0,
        showscale=False,
        hoverinfo="skip",
        uid=trace_id("embedding", domain, "density"),
        showlegend=False,
        meta={"skip": True},
    )
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=f"{domain.upper()} validation",
        uid=trace_id("embedding", domain, "key"),
        meta={"skip": True},
        marker={"symbol": "square", "size": 1.5 * style.dot_size, "color": theme.tint(style.colour(domain), 0.4)},
    )


def _dots(
    figure: go.Figure,
    style: Style,
    rows: pd.DataFrame,
    *,
    role: str,
    name: str,
    size: float = 1.0,
    opacity: float = 0.9,
    **marker: object,
) -> None:
    kind = go.Scatter if style.mode == "print" else go.Scattergl
    key = name.split()[-1] if role else name  # without the count, which changes from epoch to epoch
    columns = [column for column in ("id", "class", "fragile", "score", "to_id", "to_ood") if column in rows]
    hover = "".join(
        f"<br>{_HOVER_LABELS[column]}: %{{customdata[{index}]{_HOVER_FORMATS.get(column, '')}}}"
        for index, column in enumerate(columns)
        if column in _HOVER_LABELS
    )
    data = rows[columns].astype(object).to_numpy()
    colour = style.colour(role) if role else marker.get("color")
    marker = {
        "size": size * style.dot_size,
        "color": colour,
        "opacity": opacity,
        "line": {"color": _outline(colour, style), "width": 0.5 if size >= 1 else 0},
    } | marker
    figure.add_trace(
        kind(
            x=rows["x"].to_numpy(float),
            y=rows["y"].to_numpy(float),
            mode="markers",
            name=name,
            marker=marker,
            uid=trace_id("embedding", key),
            customdata=data,
            hovertemplate=f"<b>{name}</b>{hover}<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.15}},
            meta={"series": name, "customdata": columns},
        )
    )


def _outline(colour: object, style: Style) -> str:
    """Outline of a dot: the surface's colour, or a darker one where the dot's colour is too close to the surface's."""
    if not isinstance(colour, str):
        return style.surface
    visible = theme.with_contrast(colour, style.surface, theme.SHAPE_CONTRAST)
    return style.surface if visible == colour else visible


_HOVER_LABELS = {"class": "teacher class", "score": "score", "to_id": "k-NN distance to ID", "to_ood": "to OOD"}
_HOVER_FORMATS = {"score": ":.3g", "to_id": ":.3g", "to_ood": ":.3g"}


def _by_group(
    figure: go.Figure,
    style: Style,
    points: pd.DataFrame,
    score: str,
    threshold: float | None,
    class_names: Sequence[str] | None,
) -> None:
    points = _named(points, class_names)
    for role, rows in (("fragile", points[points["fragile"]]), ("robust", points[~points["fragile"]])):
        _dots(figure, style, rows, role=role, name=f"{theme.format_count(len(rows))} {role}")


def _by_domain(
    figure: go.Figure,
    style: Style,
    points: pd.DataFrame,
    score: str,
    threshold: float | None,
    class_names: Sequence[str] | None,
) -> None:
    _dots(
        figure,
        style,
        _named(points, class_names),
        role="synthetic",
        name=f"{theme.format_count(len(points))} synthetic",
    )


def _by_class(
    figure: go.Figure,
    style: Style,
    points: pd.DataFrame,
    score: str,
    threshold: float | None,
    class_names: Sequence[str] | None,
) -> None:
    figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"})
    names = class_names or [str(label) for label in range(int(points["class"].max()) + 1)]
    for label, name in enumerate(names):
        rows = _named(points[points["class"] == label], class_names)
        _dots(figure, style, rows, role="", name=str(name), color=CLASS_COLOURS[label % len(CLASS_COLOURS)])


def _by_score(
    figure: go.Figure,
    style: Style,
    points: pd.DataFrame,
    score: str,
    threshold: float | None,
    class_names: Sequence[str] | None,
) -> None:
    """Colour of the fragile group below the threshold, of the robust one above, stronger with distance from it."""
    scores = points["score"].to_numpy(float)
    finite = scores[np.isfinite(scores)]
    if threshold is None:
        middle = float(np.median(finite) if len(finite) else 0)
    elif np.isinf(threshold):  # one group: all are fragile
        middle = finite.max(initial=0)
        scores = np.minimum(scores, middle)
    else:
        middle = threshold
    low, high = min(finite.min(initial=middle), middle - 1e-9), max(finite.max(initial=middle), middle + 1e-9)
    reach = np.where(scores <= middle, middle - low, high - middle)
    shade = np.clip((scores - middle) / reach, -1, 1)
    pale = theme.mix(style.muted, style.surface, 0.3)
    _dots(
        figure,
        style,
        _named(points, class_names),
        role="",
        name=f"{theme.format_count(len(points))} synthetic",
        color=shade,
        cmin=-1,
        cmax=1,
        colorscale=[[0, style.colour("fragile")], [0.5, pale], [1, style.colour("robust")]],
        colorbar={
            "title": {"text": SCORE_TITLES[score], "side": "right"},
            "thickness": 10,
            "len": 0.8,
            "outlinewidth": 0,
            "tickvals": [-1, 0, 1],
            "ticktext": [format_number(low), format_number(middle), format_number(high)],
        },
    )


def _named(points: pd.DataFrame, class_names: Sequence[str] | None) -> pd.DataFrame:
    if class_names is None or "class" not in points:
        return points
    return points.assign(**{"class": [class_names[label] for label in points["class"]]})


_SYNTHETIC = {"group": _by_group, "score": _by_score, "class": _by_class, "domain": _by_domain}
