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
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES, METRIC_ROLES

LEGEND_ROW = 0.06  # of a column's width, for a curve's name: two fit above the plot as it is
LABELLED_CURVES = 4  # with more, the last values no longer fit beside the lines
LABEL_GAP = {"light": 7.5, "dark": 7.5, "print": 12.0}  # per cent between two labels: a line of text

CHANGE_MARK_TOP = {"light": 110, "dark": 110, "print": 116}  # how far a mark rises above 100 %, to bear its text


@dataclass(frozen=True)
class Curve:
    """One run, or one setting over several seeds, to be drawn.

    ``epochs``: columns ``epoch``, ``iacc`` and one of ``oacc``, ``olacc``, ``asr``, in per cent; with a
    column ``seed`` of two or more seeds, the mean is drawn with a band of ± one standard deviation.
    ``changes``: columns ``epoch`` (may be fractional) and ``threshold``, where it was set to that value.
    ``teacher`` NTL is drawn full, SL thin with open dots, and so is what is ``thin``; a ``ghost`` is for comparison
    and stays faint.
    ``uid`` names the traces, so that a redraw moves them instead of making new ones; default: the label.
    """

    epochs: pd.DataFrame
    label: str = ""
    teacher: Literal["NTL", "SL"] = "NTL"
    escape: Literal["none", "ckd", "atesc"] = "none"
    ghost: bool = False
    changes: pd.DataFrame | None = None
    uid: str = ""
    thin: bool = False

    @property
    def name(self) -> str:
        return self.label or f"{ESCAPE_NAMES[self.escape]}, {self.teacher} teacher"

    @property
    def key(self) -> str:
        return self.uid or self.name

    @property
    def metrics(self) -> list[str]:
        """The metrics that are there, IAcc first."""
        return [metric for metric in METRIC_NAMES if metric in self.epochs]

    @property
    def seeds(self) -> int:
        return self.epochs["seed"].nunique() if "seed" in self.epochs else 1


def accuracy(curves: Sequence[Curve], mode: Mode = "light", epochs: int | None = None) -> go.Figure:
    """Student accuracy by epoch.

    IAcc is in the ID colour, OAcc, OLAcc and ASR in the OOD colour; plain is dotted, CKD dashed, ATEsc
    solid. ``epochs``: how many the run will have, so that the axis stays still while the run grows.
    """
    style = theme.style(mode)
    metrics = [metric for metric in METRIC_NAMES if any(metric in curve.metrics for curve in curves)]
    legend = LEGEND_ROW * max(0, len(curves) - 2)
    figure = theme.new_figure(mode, "accuracy", "Epoch", f"{_named(style, metrics)} (%)", aspect=0.64 + legend)
    figure.layout.meta["y"] = "per cent of test images"
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
    """The metrics' names, each in its colour, for the axis."""
    names = [
        f'<span style="color:{style.text_colour(METRIC_ROLES[m])}"><b>{METRIC_NAMES[m]}</b></span>' for m in metrics
    ]
    return ", ".join(names) or "Accuracy"


def mean_by_epoch(curve: Curve, metric: str) -> pd.DataFrame:
    """Columns ``epoch``, ``mean``, ``sd`` (NaN for one seed) of a metric, over the curve's seeds, in per cent."""
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
        _mark_changes(figure, style, curve)


def _legend_key(figure: go.Figure, style: Style, curve: Curve, faint: bool, name: str) -> None:
    """One neutral legend entry a run, since colour already says which metric a line is."""
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


def _mark_changes(figure: go.Figure, style: Style, curve: Curve) -> None:
    at, to = curve.changes["epoch"].to_numpy(float), curve.changes["threshold"].to_numpy(float)
    gap = np.full(len(at), np.nan)
    said = [f"threshold {value:.3g}" for value in to]
    written = len(at) <= 3
    figure.add_scatter(
        x=np.column_stack([at, at, gap]).ravel(),
        y=np.tile([-2, CHANGE_MARK_TOP[style.mode], np.nan], len(at)),
        uid=trace_id(curve.key, "threshold"),
        name="threshold changed",
        showlegend=not written,
        legendgroup=f"{curve.key}/threshold",
        mode="lines+text",
        connectgaps=False,
        line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"},
        text=[part for words in said for part in ("", words if written else "", "")],
        textposition="bottom right",
        textfont={"color": style.muted},
        hovertext=[part for words in said for part in (words, words, "")],
        hoverinfo="text",
        meta={"skip": True},
    )


def _label_ends(figure: go.Figure, style: Style, curves: Sequence[Curve]) -> None:
    """Write the last value beside each line, moved apart where two would overlap."""
    shown = [curve for curve in curves if not curve.ghost and len(curve.epochs)]
    ends = [
        (curve.metrics.index(m), m, mean_by_epoch(curve, m).iloc[-1])
        for curve in shown
        for m in curve.metrics
        if curve.epochs[m].notna().any()
    ]
    if not ends or len(shown) > LABELLED_CURVES:
        return
    places = spread_labels([end["mean"] for _, _, end in ends], LABEL_GAP[style.mode])
    for (_, metric, end), place in zip(ends, places, strict=True):
        figure.add_annotation(
            x=end["epoch"],
            y=place,
            text=f"{METRIC_NAMES[metric]} <b>{end['mean']:.1f}</b>",
            xanchor="left",
            xshift=0.7 * style.dot_size + 2,
            yanchor="middle",
            font={"color": style.text_colour(METRIC_ROLES[metric])},
        )
    figure.update_layout(margin_r=6.6 * figure.layout.template.layout.font.size)


def spread_labels(values: Sequence[float], gap: float, low: float = 0.0, high: float = 100.0) -> list[float]:
    """Places in ``low``..``high`` in the order of ``values``, at least ``gap`` apart where that fits, close to them."""
    if len(values) < 2:
        return list(values)
    gap = min(gap, (high - low) / (len(values) - 1))
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    # Without their steps the places only have to be non-decreasing; the nearest such sequence comes from
    # pooling neighbours that are out of order (isotonic regression).
    pools: list[list[float]] = []
    for value in np.asarray(values, float)[order] - steps:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    places = np.empty(len(values))
    places[order] = np.clip(level, low, high - steps[-1]) + steps
    return places.tolist()
