"""Curves of several specs in the same axes: a panel for each quantity, seeds as a band."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.accuracy import spread_labels
from atesc_core.figures.losses import GENERATOR_TERMS, STUDENT_TERMS
from atesc_core.figures.theme import CLASS_COLOURS, DASHES, Mode, Style, trace_id
from atesc_core.specs.run import EscapeKind
from atesc_core.vocabulary import METRIC_NAMES, METRIC_ROLES

Band = Literal["sd", "range"]
BANDS: dict[Band, str] = {"sd": "± sd", "range": "min–max"}
# The colour shows the quantity and the dash the escape; specs that share both have different markers.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "pentagon", "triangle-down", "cross", "hexagram")
MAX_MARKERS = 12  # per line: more would hide its dash
PANELS_PER_ROW = 3
LEGEND_CHARACTERS = 36  # of a line: what a phone has room for
PANEL_GAP = {
    "light": 0.08,
    "dark": 0.08,
    "print": 0.11,
}  # of the figure's width between two panels: a letter and the ticks
ROW_GAP = 0.18  # of the figure's height: the upper row's ticks and axis title, the lower one's name
LETTER_GAP = {"light": 0.065, "dark": 0.065, "print": 0.1}  # of an axis between two letters: a line of text


@dataclass(frozen=True)
class SpecCurve:
    """The mean over the seeds of one spec.

    Attributes:
        letter: Written at the end of its lines.
        name: Its label.
        points: Quantity (a metric or a loss) -> columns epoch, mean, sd, low, high, of ``comparison.summary``.
        seeds: Number of seeds.
        teacher: Kind of its teacher.
        escape: Kind of its escape.
        unsmoothed: ``points`` before smoothing; None if they were not smoothed.
        number: Its place among the settings, from 0, whose colour its lines have; None: the quantity's colour.
    """

    letter: str
    name: str
    points: dict[str, pd.DataFrame]
    seeds: int = 1
    teacher: Literal["NTL", "SL"] = "NTL"
    escape: EscapeKind = "none"
    unsmoothed: dict[str, pd.DataFrame] | None = None
    number: int | None = None

    @property
    def label(self) -> str:
        """Letter and name."""
        return f"{self.letter} · {self.name}"


def overlay(
    curves: Sequence[SpecCurve],
    quantities: Sequence[str],
    mode: Mode = "light",
    *,
    band: Band = "sd",
    log: bool = False,
    epochs: int | None = None,
) -> go.Figure:
    """Runs compared, by epoch.

    IAcc is in the ID colour, OAcc, OLAcc and ASR in the OOD colour, unless the curves have numbers: then each has a
    colour of its own, the same in every panel. Plain is dotted, CKD dashed, ATEsc solid; the
    lines of SL teachers are thin with open points.

    Args:
        curves: One for each spec.
        quantities: One for each panel: metrics (iacc, oacc, olacc, asr; per cent) or losses (g/..., s/...).
        mode: light, dark or print.
        band: ± one standard deviation over seeds, or their range.
        log: Draw losses on a logarithmic axis, which leaves out values that are not above 0.
        epochs: The end of the x axis; the last epoch of the curves unless given.

    Raises:
        ValueError: There is no quantity.
    """
    if not quantities:
        raise ValueError("quantities: none; expected at least one metric or loss")
    style = theme.style(mode)
    spans = panel_spans(len(quantities), PANEL_GAP[mode])
    aspect = 0.42 * panel_rows(len(quantities)) if len(quantities) > 1 else 0.64
    figure = theme.new_figure(mode, "compare", "Epoch", "", aspect)
    figure.layout.meta["y"] = "value"
    size = figure.layout.template.layout.font.size
    figure.update_layout(margin_t=2.4 * size, margin_r=1.8 * size)  # a panel's name; the last panel's letters
    last = epochs or max(
        (int(p["epoch"].max()) for curve in curves for p in curve.points.values() if len(p)), default=1
    )
    for panel, quantity in enumerate(quantities):
        on_log = log and quantity not in METRIC_NAMES
        _axes(figure, style, panel, spans[panel], quantity, last, on_log)
        drawn = [
            (curve, symbol, points)
            for curve, symbol in zip(curves, cycle(SYMBOLS), strict=False)
            if len(points := _drawable(curve.points.get(quantity), on_log))
        ]
        for curve, symbol, points in drawn:
            _draw(figure, style, curve, points, symbol, panel, quantity, band, on_log)
        _letters(figure, style, [(curve, points) for curve, _, points in drawn], panel, quantity, on_log)
    if not figure.data:
        return theme.show_message(figure, "The first point comes at the end of epoch 1")
    for curve, symbol in zip(curves, cycle(SYMBOLS), strict=False):
        _legend_key(figure, style, curve, symbol, band)
    return figure


def quantity_role(quantity: str) -> str:
    """The role (``theme.COLOURS``) whose colour a quantity has."""
    return METRIC_ROLES.get(quantity) or STUDENT_TERMS.get(quantity, ("ink", ""))[0]


def quantity_title(quantity: str) -> str:
    """The title of a quantity's panel, with its unit."""
    if quantity in METRIC_NAMES:
        return f"{METRIC_NAMES[quantity]} (%)"
    if quantity in STUDENT_TERMS:
        return f"Student loss, {STUDENT_TERMS[quantity][1]} (nats)"
    return GENERATOR_TERMS.get(quantity, f"Generator loss, {quantity[2:]}")


def _suffix(panel: int) -> str:
    return "" if panel == 0 else str(panel + 1)


def panel_spans(panels: int, gap: float = 0.0) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """For each panel, row by row from the top, its span of the figure's width and of its height, in 0..1."""
    down = panel_rows(panels)
    across = math.ceil(panels / down)
    width, height = (1 - gap * (across - 1)) / across, (1 - ROW_GAP * (down - 1)) / down
    spans = []
    for panel in range(panels):
        row, column = divmod(panel, across)
        left, top = column * (width + gap), 1 - row * (height + ROW_GAP)
        spans.append(((left, left + width), (max(0.0, top - height), top)))
    return spans


def panel_rows(panels: int) -> int:
    """Number of rows of panels."""
    return math.ceil(panels / PANELS_PER_ROW)


def _axes(
    figure: go.Figure,
    style: Style,
    panel: int,
    span: tuple[tuple[float, float], tuple[float, float]],
    quantity: str,
    last: int,
    log: bool,
) -> None:
    (left, right), height = span
    suffix, metric = _suffix(panel), quantity in METRIC_NAMES
    ticks = {"dtick": 1} if last <= 14 * (right - left) else {"nticks": 4 + round(6 * (right - left))}
    axis = (
        theme.per_cent_axis()
        if metric
        else {"type": "log" if log else "linear", "tickformat": "~g", **({"dtick": "D2"} if log else {})}
    )  # 1, 2, 5, 10
    if metric and panel:  # per cent in every panel: one scale, written once a row, and zoomed together
        axis |= {"matches": "y", "showticklabels": left == 0}
    figure.update_layout(
        {
            f"xaxis{suffix}": {
                "domain": [left, right],
                "anchor": f"y{suffix}",
                "title": {"text": "Epoch"},
                "range": [1 - 0.03 * last, last + 0.03 * last],
                "tickformat": "d",
                "minallowed": 0,
                **({"matches": "x"} if panel else {}),
                **ticks,
            },
            f"yaxis{suffix}": {"anchor": f"x{suffix}", "domain": height, "title": {"text": ""}, **axis},
        }
    )
    figure.add_annotation(
        text=f"<b>{quantity_title(quantity)}</b>",
        x=left,
        y=height[1],
        xref="paper",
        yref="paper",
        yshift=6,
        xanchor="left",
        yanchor="bottom",
        font={"color": style.text_colour(quantity_role(quantity))},
    )


def band_edges(points: pd.DataFrame, band: Band, log: bool = False) -> tuple[pd.Series, pd.Series]:
    """Lower and upper edge of the band; on a logarithmic axis the lower one is at least the lowest mean."""
    low, high = (
        (points["low"], points["high"])
        if band == "range"
        else (points["mean"] - points["sd"].fillna(0), points["mean"] + points["sd"].fillna(0))
    )
    return low.clip(lower=points["mean"].min()) if log else low, high


def _drawable(points: pd.DataFrame | None, log: bool) -> pd.DataFrame:
    """The points that the axis can show: on a logarithmic axis only values above 0."""
    if points is None:
        return pd.DataFrame()
    return points[points["mean"] > 0] if log else points


def _draw(
    figure: go.Figure,
    style: Style,
    curve: SpecCurve,
    points: pd.DataFrame,
    symbol: str,
    panel: int,
    quantity: str,
    band: Band,
    log: bool,
) -> None:
    colour = _colour(style, curve, quantity)
    axes = {
        "xaxis": f"x{_suffix(panel)}",
        "yaxis": f"y{_suffix(panel)}",
        "legendgroup": curve.letter,
        "showlegend": False,
    }
    if curve.seeds > 1:
        low, high = band_edges(points, band, log)
        figure.add_scatter(
            x=[*points["epoch"], *points["epoch"][::-1]],
            y=[*high, *low[::-1]],
            uid=trace_id(curve.letter, quantity, "band"),
            name=f"{curve.label} {BANDS[band]}",
            fill="toself",
            fillcolor=theme.tint(colour, 0.16),
            mode="lines",
            line_width=0,
            hoverinfo="skip",
            meta={"skip": True},
            **axes,
        )
    if curve.unsmoothed:
        unsmoothed = curve.unsmoothed[quantity]
        figure.add_scatter(
            x=unsmoothed["epoch"],
            y=unsmoothed["mean"],
            uid=trace_id(curve.letter, quantity, "rough"),
            mode="lines",
            opacity=0.35,
            name=f"{curve.label}, not smoothed",
            line={"color": colour, "dash": DASHES[curve.escape], "width": style.thin_width},
            hoverinfo="skip",
            meta={"run": curve.label, "quantity": quantity, "smoothed": False, "seeds": curve.seeds},
            **axes,
        )
    unit = " %" if quantity in METRIC_NAMES else ""
    digits = ".1f" if unit else ".4g"
    spreads = (
        {
            "sd": f" ± %{{customdata[0]:{digits}}}",
            "range": f" (%{{customdata[1]:{digits}}} to %{{customdata[2]:{digits}}})",
        }[band]
        if curve.seeds > 1
        else ""
    )
    figure.add_scatter(
        x=points["epoch"],
        y=points["mean"],
        uid=trace_id(curve.letter, quantity),
        name=curve.label,
        mode="lines+markers",
        line={"color": colour, "dash": DASHES[curve.escape], "width": _width(style, curve)},
        marker=_marker(style, curve, symbol, colour),
        customdata=points[["sd", "low", "high"]],
        hovertemplate=f"<b>%{{y:{digits}}}{unit}</b>{spreads} {quantity_title(quantity).partition(' (')[0]}, "
        f"epoch %{{x}}<br>{curve.label}, {_seeds(curve)}<extra></extra>",
        meta={
            "run": curve.label,
            "quantity": quantity,
            "teacher": curve.teacher,
            "escape": curve.escape,
            "seeds": curve.seeds,
            "smoothed": bool(curve.unsmoothed),
            "customdata": ["sd", "low", "high"],
        },
        **axes,
    )


def _colour(style: Style, curve: SpecCurve, quantity: str, contrast: float = theme.SHAPE_CONTRAST) -> str:
    """The colour of a curve's lines in the panel of a quantity, or with TEXT_CONTRAST of its letters."""
    if curve.number is not None:
        colour = CLASS_COLOURS[curve.number % len(CLASS_COLOURS)]
        return theme.with_contrast(colour, style.surface, contrast)
    role = quantity_role(quantity)
    return style.text_colour(role) if contrast == theme.TEXT_CONTRAST else style.colour(role)


def _width(style: Style, curve: SpecCurve) -> float:
    return style.thin_width if curve.teacher == "SL" else style.line_width


def _marker(style: Style, curve: SpecCurve, symbol: str, colour: str) -> dict[str, object]:
    return {
        "symbol": symbol,
        "size": style.dot_size * 1.15,
        "maxdisplayed": MAX_MARKERS,
        "color": style.surface if curve.teacher == "SL" else colour,
        "line": {"color": colour, "width": style.thin_width if curve.teacher == "SL" else 0},
    }


def _seeds(curve: SpecCurve) -> str:
    return f"{curve.seeds} seeds" if curve.seeds > 1 else "one seed"


def _legend_key(figure: go.Figure, style: Style, curve: SpecCurve, symbol: str, band: Band) -> None:
    """Add one legend entry for the spec: its dash and markers, and the meaning of line and band.

    It is grey if the lines have the colours of their quantities.
    """
    colour = style.muted if curve.number is None else _colour(style, curve, "")
    statistic = f"mean, {BANDS[band]}, {curve.seeds} seeds" if curve.seeds > 1 else "one seed"
    # On the page the caption says which specs have one seed, and a phone has no room to say it twice.
    name = curve.label if curve.seeds == 1 and style.mode != "print" else f"{curve.label} ({statistic})"
    figure.add_scatter(
        x=[None],
        y=[None],
        uid=trace_id(curve.letter, "key"),
        name="<br>".join(textwrap.wrap(name, LEGEND_CHARACTERS)),
        legendgroup=curve.letter,
        mode="lines+markers",
        meta={"skip": True},
        marker=_marker(style, curve, symbol, colour),
        line={"color": colour, "dash": DASHES[curve.escape], "width": _width(style, curve)},
    )


def _letters(
    figure: go.Figure,
    style: Style,
    drawn: Sequence[tuple[SpecCurve, pd.DataFrame]],
    panel: int,
    quantity: str,
    log: bool,
) -> None:
    """Write each curve's letter at its end, moved apart where two would overlap."""
    scale = np.log10 if log else np.asarray
    means = [scale(points["mean"].to_numpy(float)) for _, points in drawn]
    if not means:
        return
    low, high = (0.0, 100.0) if quantity in METRIC_NAMES else (min(map(np.min, means)), max(map(np.max, means)))
    at, ends = np.array([points["epoch"].iloc[-1] for _, points in drawn]), np.array([values[-1] for values in means])
    for epoch in np.unique(at):
        ends[at == epoch] = spread_labels(ends[at == epoch], LETTER_GAP[style.mode] * (high - low), low, high)
    for (curve, _), epoch, height in zip(drawn, at.tolist(), ends.tolist(), strict=True):
        figure.add_annotation(
            x=epoch,
            y=height,
            xref=f"x{_suffix(panel)}",
            yref=f"y{_suffix(panel)}",
            text=f"<b>{curve.letter}</b>",
            xanchor="left",
            xshift=0.7 * style.dot_size + 2,
            yanchor="middle",
            font={"color": _colour(style, curve, quantity, theme.TEXT_CONTRAST)},
        )
