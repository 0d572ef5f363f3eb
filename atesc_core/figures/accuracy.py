"""Student accuracy by epoch: the figure that shows the trap and the escape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.theme import DASHES, Mode, Style, trace_id
from atesc_core.specs.run import EscapeKind
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES, METRIC_ROLES

LEGEND_ROW = 0.06  # of a column's width, for each legend row from the third curve on
LABELLED_CURVES = 4  # the last values of more curves do not fit next to the lines
LABEL_GAP = {"light": 7.5, "dark": 7.5, "print": 12.0}  # per cent between two labels: a line of text

CHANGE_MARK_TOP = {"light": 110, "dark": 110, "print": 116}  # per cent: above 100, with room for the text


@dataclass(frozen=True)
class Curve:
    """One run, or runs with several seeds.

    Attributes:
        epochs: Columns ``epoch``, ``iacc`` and one of ``oacc``, ``olacc``, ``asr``, in per cent. With a column ``seed``
            of two or more seeds, the mean is drawn with a band of ± one standard deviation.
        label: Its name; escape and teacher unless given.
        teacher: Kind of the teacher: NTL is drawn solid, SL thin with open dots.
        escape: Kind of the escape, which sets the dash of the line.
        ghost: Whether it is only for comparison, and drawn faint.
        changes: Threshold changes: columns ``epoch`` (may be fractional) and ``threshold``.
        curve_id: Identity of the traces from one redraw to the next; the label unless given.
        thin: Whether it is drawn like a curve of an SL teacher.
    """

    epochs: pd.DataFrame
    label: str = ""
    teacher: Literal["NTL", "SL"] = "NTL"
    escape: EscapeKind = "none"
    ghost: bool = False
    changes: pd.DataFrame | None = None
    curve_id: str = ""
    thin: bool = False

    @property
    def name(self) -> str:
        """The label, or escape and teacher."""
        return self.label or f"{ESCAPE_NAMES[self.escape]}, {self.teacher} teacher"

    @property
    def key(self) -> str:
        """Identity of the traces from one redraw to the next."""
        return self.curve_id or self.name

    @property
    def metrics(self) -> list[str]:
        """The metrics in ``epochs``, IAcc first."""
        return [metric for metric in METRIC_NAMES if metric in self.epochs]

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return self.epochs["seed"].nunique() if "seed" in self.epochs else 1


def accuracy(
    curves: Sequence[Curve],
    mode: Mode = "light",
    epochs: int | None = None,
    images: Literal["validation", "test"] = "test",
) -> go.Figure:
    """Student accuracy by epoch.

    IAcc is in the ID colour, OAcc, OLAcc and ASR in the OOD colour; plain is dotted, CKD dashed, ATEsc solid.

    Args:
        curves: One for each run.
        mode: light, dark or print.
        epochs: The end of the axis: number of epochs of the run.
        images: What it was measured on.
    """
    style = theme.style(mode)
    metrics = [metric for metric in METRIC_NAMES if any(metric in curve.metrics for curve in curves)]
    legend = LEGEND_ROW * max(0, len(curves) - 2)
    figure = theme.new_figure(mode, "accuracy", "Epoch", f"{_named(style, metrics)} (%)", aspect=0.64 + legend)
    figure.layout.meta["y"] = f"per cent of {images} images"
    marked = any(curve.changes is not None and len(curve.changes) for curve in curves)
    figure.update_yaxes(theme.per_cent_axis(range=[-2, CHANGE_MARK_TOP[mode] if marked else 102]))
    for curve in curves:
        _draw(figure, style, curve, alone=len(curves) == 1)
    last = epochs or max((int(c.epochs["epoch"].max()) for c in curves if len(c.epochs)), default=1)
    figure.update_xaxes(
        range=[1 - 0.03 * last, last + 0.03 * last],
        tickformat="d",
        minallowed=0,
        **({"dtick": 1} if last <= 12 else {"nticks": 10}),
    )
    if not any(len(curve.epochs) for curve in curves):
        return theme.show_message(figure, "The first point comes at the end of epoch 1")
    _label_ends(figure, style, curves)
    return figure


def _named(style: Style, metrics: Sequence[str]) -> str:
    """Title of the axis: the metrics' names, each in its colour."""
    names = [
        f'<span style="color:{style.text_colour(METRIC_ROLES[m])}"><b>{METRIC_NAMES[m]}</b></span>' for m in metrics
    ]
    return ", ".join(names) or "Accuracy"


def mean_by_epoch(curve: Curve, metric: str) -> pd.DataFrame:
    """A metric over the curve's seeds: columns ``epoch``, ``mean``, ``sd`` (NaN for one seed), in per cent."""
    by_epoch = curve.epochs.dropna(subset=[metric]).groupby("epoch", as_index=False)[metric]
    return by_epoch.agg(["mean", "std"]).rename(columns={"std": "sd"})


def _draw(figure: go.Figure, style: Style, curve: Curve, alone: bool) -> None:
    seeds = f" (mean ± sd, {curve.seeds} seeds)" if curve.seeds > 1 else ""
    faint = curve.ghost or curve.thin or curve.teacher == "SL"
    for metric in curve.metrics:
        points, role, name = mean_by_epoch(curve, metric), METRIC_ROLES[metric], METRIC_NAMES[metric]
        key = f"{curve.key}/{metric}"
        group = key if alone else curve.key
        if curve.seeds > 1:
            figure.add_scatter(
                x=[*points["epoch"], *points["epoch"][::-1]],
                name=f"{curve.name} {name} ± sd",
                uid=trace_id(key, "band"),
                y=[*(points["mean"] + points["sd"].fillna(0)), *(points["mean"] - points["sd"].fillna(0))[::-1]],
                fill="toself",
                fillcolor=style.tint(role, 0.08 if curve.ghost else 0.16),
                mode="lines",
                line_width=0,
                hoverinfo="skip",
                showlegend=False,
                legendgroup=group,
                meta={"skip": True},
            )
        figure.add_scatter(
            x=points["epoch"],
            y=points["mean"],
            uid=trace_id(key),
            name=name if alone else curve.name,
            legendgroup=group,
            showlegend=alone,
            mode="lines+markers",
            opacity=0.38 if curve.ghost else 1,
            line={
                "color": style.colour(role),
                "dash": DASHES[curve.escape],
                "width": style.thin_width if faint else style.line_width,
            },
            marker={
                "size": style.dot_size * (0.75 if faint else 1),
                "color": style.surface if faint else style.colour(role),
                "line": {"color": style.colour(role), "width": style.thin_width if faint else 0},
            },
            customdata=points["sd"],
            hovertemplate=f"<b>%{{y:.1f}} %</b> {name}, epoch %{{x}}<br>{curve.name}{seeds}<extra></extra>",
            meta={
                "run": curve.name,
                "metric": name,
                "teacher": curve.teacher,
                "escape": curve.escape,
                "seeds": curve.seeds,
                "customdata": ["sd"],
            },
        )
    if not alone:
        _legend_key(figure, style, curve, faint, curve.name + seeds)
    if curve.changes is not None and len(curve.changes):
        _mark_changes(figure, style, curve.key, curve.changes)


def _legend_key(figure: go.Figure, style: Style, curve: Curve, faint: bool, name: str) -> None:
    """Add one grey legend entry for the run, because the colour already shows the metric."""
    figure.add_scatter(
        x=[None],
        y=[None],
        uid=trace_id(curve.key, "key"),
        name=name,
        legendgroup=curve.key,
        mode="lines+markers",
        line={
            "color": style.muted,
            "dash": DASHES[curve.escape],
            "width": style.thin_width if faint else style.line_width,
        },
        marker={
            "size": style.dot_size * (0.75 if faint else 1),
            "color": style.surface if faint else style.muted,
            "line": {"color": style.muted, "width": style.thin_width if faint else 0},
        },
        opacity=0.5 if curve.ghost else 1,
        meta={"skip": True},
    )


def _mark_changes(figure: go.Figure, style: Style, key: str, changes: pd.DataFrame) -> None:
    epochs, thresholds = changes["epoch"].to_numpy(float), changes["threshold"].to_numpy(float)
    gap = np.full(len(epochs), np.nan)
    texts = [theme.format_threshold(value) for value in thresholds]
    show_texts = len(epochs) <= 3
    figure.add_scatter(
        x=np.column_stack([epochs, epochs, gap]).ravel(),
        y=np.tile([-2, CHANGE_MARK_TOP[style.mode], np.nan], len(epochs)),
        uid=trace_id(key, "threshold"),
        name="threshold changed",
        showlegend=not show_texts,
        legendgroup=f"{key}/threshold",
        mode="lines+text",
        connectgaps=False,
        line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"},
        text=[part for text in texts for part in ("", text if show_texts else "", "")],
        textposition="bottom right",
        textfont={"color": style.muted},
        hovertext=[part for text in texts for part in (text, text, "")],
        hoverinfo="text",
        meta={"skip": True},
    )


def _label_ends(figure: go.Figure, style: Style, curves: Sequence[Curve]) -> None:
    """Write the last value next to each line, moved apart where two would overlap."""
    shown = [curve for curve in curves if not curve.ghost and len(curve.epochs)]
    ends = [
        (curve.metrics.index(m), m, mean_by_epoch(curve, m).iloc[-1])
        for curve in shown
        for m in curve.metrics
        if curve.epochs[m].notna().any()
    ]
    if not ends or len(shown) > LABELLED_CURVES:
        return
    heights = spread_labels([end["mean"] for _, _, end in ends], LABEL_GAP[style.mode])
    for (_, metric, end), height in zip(ends, heights, strict=True):
        figure.add_annotation(
            x=end["epoch"],
            y=height,
            text=f"{METRIC_NAMES[metric]} <b>{end['mean']:.1f}</b>",
            xanchor="left",
            xshift=0.7 * style.dot_size + 2,
            yanchor="middle",
            font={"color": style.text_colour(METRIC_ROLES[metric])},
        )
    figure.update_layout(margin_r=6.6 * figure.layout.template.layout.font.size)


def spread_labels(values: Sequence[float], gap: float, low: float = 0.0, high: float = 100.0) -> list[float]:
    """Positions of labels close to ``values``, in the same order, at least ``gap`` apart if there is room.

    The positions minus their minimal distances must not decrease; the nearest such sequence (least squares) comes from
    pooling neighbours that are out of order (isotonic regression).
    """
    if len(values) < 2:
        return list(values)
    gap = min(gap, (high - low) / (len(values) - 1))
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    pools: list[list[float]] = []
    for value in np.asarray(values, float)[order] - steps:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    positions = np.empty(len(values))
    positions[order] = np.clip(level, low, high - steps[-1]) + steps
    return [float(position) for position in positions]
