"""BatchNorm statistics between real ID and real OOD: what a teacher stores, and a generator's images by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from atesc_core.figures import theme
from atesc_core.figures.accuracy import spread_labels
from atesc_core.figures.theme import Mode, Style, trace_id
from atesc_core.teachers.batchnorm import Positions

FAR = 0.25  # distance from the line, in its lengths, beyond which a dot is open: its position says little
LIMITS = -1.0, 2.0  # of the axis of positions, unless the reader zooms out
LABEL_GAP = {"light": 0.075, "dark": 0.075, "print": 0.12}  # share of the axis between two labels: a line of text
EQUAL_DOMAINS = "ID and OOD images have the same statistics"
NO_LAYERS = "This teacher has no BatchNorm layer"


@dataclass(frozen=True)
class TeacherLine:
    """The running statistics of one teacher.

    Attributes:
        teacher: Its kind.
        layers: (L,) names of its BatchNorm layers, by depth.
        positions: Of its running mean and variance, by layer.
    """

    teacher: Literal["NTL", "SL"]
    layers: Sequence[str]
    positions: Positions


def batchnorm(lines: Sequence[TeacherLine], mode: Mode = "light") -> go.Figure:
    """BatchNorm statistics between ID and OOD.

    The position of a teacher's running mean (thick) and running variance (thin) between the statistics of real ID
    images (0) and real OOD images (1), layer by layer. Open dots are far from the line between both.

    Args:
        lines: One for each teacher.
        mode: light, dark or print.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "batchnorm", "BatchNorm layer, by depth", "Position", aspect=0.8)
    count = max((len(line.layers) for line in lines), default=0)
    if not count:
        return theme.show_message(figure, NO_LAYERS)
    positions = [values for line in lines for values in (line.positions.mean, line.positions.variance)]
    low, high = _position_axis(figure, style, positions)
    _layer_axis(figure, count)
    for line in lines:
        _draw_statistic(figure, style, line, "variance", line.positions.variance, line.positions.variance_distance)
    for line in lines:
        _draw_statistic(figure, style, line, "mean", line.positions.mean, line.positions.mean_distance)
    ends = [line for line in lines if np.isfinite(line.positions.mean[-1:]).all() and len(line.layers)]
    _label_ends(
        figure,
        style,
        mode,
        [(len(line.layers), line.positions.mean[-1], format_position(line.positions.mean[-1])) for line in ends],
        [style.text_colour(line.teacher) for line in ends],
        (low, high),
    )
    figure.update_layout(margin_r=3.6 * figure.layout.template.layout.font.size)
    return figure if _any_finite(positions) else theme.show_message(figure, EQUAL_DOMAINS)


def batchnorm_epochs(
    epochs: Sequence[int],
    positions: Sequence[Positions],
    layers: Sequence[str],
    mode: Mode = "light",
    *,
    teacher: Literal["NTL", "SL"] = "NTL",
    target: Positions | None = None,
    images: int | None = None,
    epoch: int | None = None,
) -> go.Figure:
    """Synthetic images between ID and OOD, layer by layer.

    The position of the mean of each BatchNorm layer's inputs on synthetic images, between real ID images (0) and real
    OOD images (1). Light lines are early layers, dark lines late ones; faint lines are of layers whose dots are all
    open, far from the line between both.

    Args:
        epochs: (E,)
        positions: (E,) of the synthetic images of each epoch.
        layers: (L,) names of the layers, by depth.
        mode: light, dark or print.
        teacher: Its kind.
        target: Of the teacher's running statistics, which R_BN asks for.
        images: Synthetic images of an epoch.
        epoch: An epoch to mark.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "batchnorm_epochs", "Epoch", "Position", aspect=0.8)
    if not layers:
        return theme.show_message(figure, NO_LAYERS)
    means = np.array([row.mean for row in positions]).reshape(-1, len(layers))
    distances = np.array([row.mean_distance for row in positions]).reshape(-1, len(layers))
    far: NDArray[np.bool_] = ~(distances <= FAR)  # also where it is NaN
    faint = [bool(far[:, layer].all()) for layer in range(len(layers))]
    low, high = _position_axis(figure, style, [means[~far], *([np.array([_level(target)])] if target else [])], 0.25)
    last = max(epochs, default=1)
    x_range = [1 - 0.03 * last, last + 0.03 * last]
    figure.update_xaxes(range=x_range, tickformat="d", minallowed=0, **({"dtick": 1} if last <= 12 else {"nticks": 10}))
    if target is not None and np.isfinite(target.mean).any():
        _draw_target(figure, style, teacher, _level(target), x_range)
    if epoch is not None:
        figure.add_vline(epoch, line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"})
    named = {0: "first layer", len(layers) // 2: "middle", len(layers) - 1: "last layer"}
    count = f", {theme.format_count(images)} images" if images else ""
    for layer, name in enumerate(layers):
        colour, thick = _depth_colour(style, layer, len(layers)), layer in named
        figure.add_scatter(
            x=list(epochs),
            y=means[:, layer],
            uid=trace_id("batchnorm epochs", layer),
            name=named.get(layer, f"layer {layer + 1}"),
            showlegend=thick,
            mode="lines+markers",
            opacity=0.3 if faint[layer] else 1,
            line={"color": colour, "width": style.line_width if thick else style.thin_width},
            marker=_dots(style, colour, distances[:, layer], 1.0 if thick else 0.6),
            customdata=[[f"{distance:.3g}"] for distance in distances[:, layer]],
            hovertemplate=f"<b>%{{y:.2f}}</b> layer {layer + 1} of {len(layers)}, {name}, epoch %{{x}}{count}<br>"
            "%{customdata[0]} lengths away from the line from ID to OOD<extra></extra>",
            meta={"layer": name, "customdata": ["distance from the line"]},
        )
    ends = [layer for layer in named if len(means) and np.isfinite(means[-1, layer]) and not faint[layer]]
    _label_ends(
        figure,
        style,
        mode,
        [(epochs[-1], means[-1, layer], format_position(means[-1, layer])) for layer in ends],
        [_depth_colour(style, layer, len(layers)) for layer in ends],
        (low, high),
    )
    figure.update_layout(margin_r=3.6 * figure.layout.template.layout.font.size)
    if not len(means):
        return theme.show_message(figure, "The first point comes at the end of epoch 1")
    return figure if _any_finite([means]) else theme.show_message(figure, EQUAL_DOMAINS)


def format_position(value: float) -> str:
    """A position with two decimals and a typographic minus; ``–`` for NaN, where the domains are equal."""
    return "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")


def _any_finite(positions: Sequence[NDArray[np.float64]]) -> bool:
    return any(np.isfinite(values).any() for values in positions)


def _position_axis(
    figure: go.Figure, style: Style, positions: Sequence[NDArray[np.float64]], margin: float = 0.08
) -> tuple[float, float]:
    """Scale the y axis to the positions within LIMITS, and draw the levels of ID, of half and half, and of OOD.

    Returns:
        The lower and the upper end of the axis.
    """
    values = np.concatenate([np.ravel(part) for part in positions]) if positions else np.empty(0)
    values = values[np.isfinite(values)]
    low = max(LIMITS[0], min(0.0, values.min(initial=0.0))) - margin
    high = min(LIMITS[1], max(1.0, values.max(initial=1.0))) + margin
    levels = {
        0.0: (f'<span style="color:{style.text_colour("id")}"><b>real ID</b></span>', style.colour("id")),
        0.5: ("half and half", style.muted),
        1.0: (f'<span style="color:{style.text_colour("ood")}"><b>real OOD</b></span>', style.colour("ood")),
    }
    ticks = [tick for tick in (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0) if low <= tick <= high]
    figure.update_yaxes(
        range=[low, high],
        tickvals=ticks,
        ticktext=[levels[tick][0] if tick in levels else format_position(tick) for tick in ticks],
    )
    for level, (_, colour) in levels.items():
        figure.add_shape(
            type="line",
            layer="below",
            x0=0,
            x1=1,
            xref="paper",
            y0=level,
            y1=level,
            line={"color": colour, "width": style.thin_width, "dash": "2px,3px" if level == 0.5 else "solid"},
        )
    return low, high


def _layer_axis(figure: go.Figure, layers: int) -> None:
    """Scale the x axis so that it ends at the last dot: the levels then do not cross the label beside it."""
    pad = 0.04 * max(layers - 1, 1)
    figure.update_xaxes(
        range=[1 - 2 * pad, layers + pad], tickformat="d", **({"dtick": 1} if layers <= 16 else {"nticks": 12})
    )


def _draw_statistic(
    figure: go.Figure,
    style: Style,
    line: TeacherLine,
    statistic: Literal["mean", "variance"],
    positions: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> None:
    colour, thick = style.colour(line.teacher), statistic == "mean"
    figure.add_scatter(
        x=list(range(1, len(line.layers) + 1)),
        y=positions,
        uid=trace_id("batchnorm", line.teacher, statistic),
        name=f"{line.teacher} teacher, {statistic}",
        legendrank=1000 if thick else 1001,
        mode="lines+markers",
        line={
            "color": colour,
            "width": style.line_width if thick else style.thin_width,
            "dash": "solid" if thick else "dot",
        },
        marker=_dots(style, colour, distances, 1.0 if thick else 0.6),
        customdata=[[name, f"{distance:.3g}"] for name, distance in zip(line.layers, distances, strict=True)],
        hovertemplate=f"<b>%{{y:.2f}}</b> running {statistic} of layer %{{x}}, %{{customdata[0]}}<br>"
        f"%{{customdata[1]}} lengths away from the line from ID to OOD<br>{line.teacher} teacher<extra></extra>",
        meta={
            "teacher": line.teacher,
            "statistic": f"running {statistic}",
            "customdata": ["module", "distance from the line"],
        },
    )


def _dots(style: Style, colour: str, distances: NDArray[np.float64], scale: float) -> dict[str, object]:
    """Markers that are open where the distance from the line is FAR."""
    return {
        "size": scale * style.dot_size,
        "color": [style.surface if distance > FAR else colour for distance in distances],
        "line": {"color": colour, "width": style.thin_width},
    }


def _level(target: Positions) -> float:
    """The median over layers, which one layer with a meaningless position does not move; NaN if there is none."""
    return float(np.median(target.mean[np.isfinite(target.mean)])) if np.isfinite(target.mean).any() else float("nan")


def _draw_target(
    figure: go.Figure, style: Style, teacher: Literal["NTL", "SL"], level: float, x_range: list[float]
) -> None:
    figure.add_scatter(
        x=x_range,
        y=[level, level],
        uid=trace_id("batchnorm epochs", "target"),
        name="R<sub>BN</sub> asks for",
        legendrank=1001,
        mode="lines",
        line={"color": style.colour(teacher), "width": style.line_width, "dash": "dot"},
        hovertemplate="<b>%{y:.2f}</b> the teacher's running mean, which R<sub>BN</sub> asks for, median of its "
        "layers<extra></extra>",
        meta={"layer": "teacher's running mean, median of its layers"},
    )


def _depth_colour(style: Style, layer: int, layers: int) -> str:
    """From the palest grey that can be told from the surface, for the first layer, to the ink for the last."""
    pale = theme.mix(style.colour("synthetic"), style.surface, 0.5)
    first = theme.with_contrast(pale, style.surface, theme.SHAPE_CONTRAST)
    return theme.mix(style.ink, first, layer / max(layers - 1, 1))


def _label_ends(
    figure: go.Figure,
    style: Style,
    mode: Mode,
    ends: Sequence[tuple[float, float, str]],
    colours: Sequence[str],
    y_range: tuple[float, float],
) -> None:
    """Write the last values next to the lines. ``ends``: x, y and text of each."""
    low, high = y_range
    heights = spread_labels([min(max(y, low), high) for _, y, _ in ends], LABEL_GAP[mode] * (high - low), low, high)
    for (x, _, text), colour, height in zip(ends, colours, heights, strict=True):
        figure.add_annotation(
            x=x,
            y=height,
            text=f"<b>{text}</b>",
            xanchor="left",
            xshift=0.7 * style.dot_size + 2,
            yanchor="middle",
            font={"color": colour},
        )
