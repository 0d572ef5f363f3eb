"""A teacher or a student on real images: robustness against ε, accuracy by class, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, trace_id
from atesc_core.vocabulary import METRIC_NAMES

Network = Literal["student", "teacher"]
DOMAINS = {"id": "ID", "ood": "OOD"}
NUMBERED_CELLS = 144  # the cells of a larger confusion matrix are too small for numbers


def robust_share(
    curves: pd.DataFrame,
    mode: Mode = "light",
    auroc: float | None = None,
    threshold: float | None = None,
    images: dict[str, int] | None = None,
) -> go.Figure:
    """Robust share against ε.

    ``curves``: columns ``epsilon`` (1/255) and, if known, ``id``, ``ood`` and ``synthetic``: per cent of
    images whose prediction survives an attack of that budget. ``auroc``: AUROC of the score as a detector of
    real OOD images. ``threshold``: an ε to mark. ``images``: column -> its number of images.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "robust_share", "Attack budget ε (1/255)", "Robust images (%)")
    figure.layout.meta["y"] = "per cent of images"
    figure.update_yaxes(theme.per_cent_axis())
    for role, name in {"synthetic": "synthetic", "id": "ID validation", "ood": "OOD validation"}.items():
        if role not in curves:
            continue
        count = f", {theme.format_count(images[role])} images" if images and role in images else ""
        figure.add_scatter(
            x=curves["epsilon"],
            y=curves[role],
            uid=trace_id("robust share", role),
            name=name,
            mode="lines+markers" if len(curves) <= 20 else "lines",
            line={"color": style.colour(role), "width": style.line_width},
            marker={"size": style.dot_size * 0.8},
            cliponaxis=False,
            hovertemplate=f"<b>%{{y:.1f}} %</b> of {name} robust at ε = %{{x:.3g}}/255{count}<extra></extra>",
            meta={"images of": name},
        )
    top = float(curves["epsilon"].max()) if len(curves) else 1.0
    figure.update_xaxes(range=[0, 1.02 * top], minallowed=0, dtick=2 ** max(np.ceil(np.log2(top / 8)), -3))
    if threshold is not None:
        figure.add_shape(
            type="line",
            x0=threshold,
            x1=threshold,
            y0=0,
            y1=1,
            yref="paper",
            line={"color": style.ink, "width": style.thin_width},
        )
        figure.add_annotation(
            x=threshold,
            y=0.02,
            yref="paper",
            yanchor="bottom",
            xanchor="left",
            xshift=4,
            text=f"ε = {theme.format_number(threshold)}",
        )
    if auroc is not None:
        figure.update_layout(legend_title={"text": f"AUROC <b>{auroc:.3f}</b>  ", "side": "left"}, showlegend=True)
    return figure


def per_class(
    accuracies: pd.DataFrame, mode: Mode = "light", metric: str = "oacc", network: Network | None = None
) -> go.Figure:
    """Accuracy by class.

    ``accuracies``: columns ``domain`` (id or ood), ``class``, ``accuracy`` in per cent and ``images``, in the
    order to be drawn from the top. ``metric``: the metric on OOD images (oacc, olacc or asr). ``network``: whose
    accuracy, if the figure is to say so.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "per_class", "", "", aspect=0.8)
    figure.layout.meta.update(x="per cent of validation images", y="class")
    names = {"id": METRIC_NAMES["iacc"], "ood": METRIC_NAMES[metric]}
    sides = {domain: accuracies[accuracies["domain"] == domain] for domain in DOMAINS}
    same_classes = list(sides["id"]["class"]) == list(sides["ood"]["class"])
    gap = 0.05 if same_classes else 0.06 + _label_share(style, sides["ood"]["class"].astype(str))
    spans = {"id": [0, (1 - gap) / 2], "ood": [(1 + gap) / 2, 1]}
    for index, (domain, title) in enumerate(DOMAINS.items()):
        rows, axis = sides[domain], "" if index == 0 else "2"
        figure.add_bar(
            x=rows["accuracy"],
            y=rows["class"].astype(str),
            orientation="h",
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
            uid=trace_id("per class", domain),
            name=title,
            showlegend=False,
            width=0.72,
            cliponaxis=False,
            marker={"color": style.colour(domain), "line_width": 0},
            customdata=rows["images"],
            text=[f"{value:.1f}" for value in rows["accuracy"]],
            textposition="outside",
            constraintext="none",
            textfont={"color": style.muted},
            hovertemplate=f"<b>%{{x:.1f}} %</b> {names[domain]}, %{{y}}<br>%{{customdata}} {title} validation images"
            "<extra></extra>",
            meta={"domain": domain, "metric": names[domain], "customdata": ["images"]},
        )
        figure.update_layout(
            {
                f"xaxis{axis}": {
                    "domain": spans[domain],
                    "anchor": f"y{axis}",
                    "range": [0, 125],
                    "showgrid": True,
                    "tickvals": [0, 50, 100],
                    "title": {"text": f"{names[domain]} (%)"},
                },
                f"yaxis{axis}": {
                    "anchor": f"x{axis}",
                    "autorange": "reversed",
                    "showgrid": False,
                    "type": "category",
                    "dtick": 1 if len(rows) <= 30 else None,
                    "showticklabels": index == 0 or not same_classes,
                    "title": {"text": ""},
                },
            }
        )
        mean = np.average(rows["accuracy"], weights=rows["images"]) if rows["images"].sum() else float("nan")
        figure.add_annotation(
            text=f"{network.capitalize() + ', ' if network else ''}{title} <b>{mean:.1f} %</b>",
            x=spans[domain][0],
            xref="paper",
            y=1.01,
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            font={"color": style.text_colour(domain)},
        )
    figure.update_layout(margin_t=2.2 * figure.layout.template.layout.font.size)
    return figure


def _label_share(style: theme.Style, labels: pd.Series) -> float:
    """Estimate of the longest label's share of a narrow figure's width; plotly measures only outer labels."""
    size, width = (10.7, 312) if style.mode == "print" else (theme.SCREEN_FONT_PX, 520)
    return min(0.55 * size * int(labels.str.len().max() or 0) / width, 0.4)


def confusion(
    counts: ArrayLike,
    mode: Mode = "light",
    *,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    domain: str = "id",
    network: Network | None = None,
) -> go.Figure:
    """Confusion matrix.

    ``counts``: (R, C) validation images of true class r given label c; shaded by the share of each row, in the colour
    of the domain (``id`` or ``ood``). ``rows``: true classes; ``columns``: the labels, if not the
    true classes. ``network``: who gives the labels, if the figure is to say so.
    """
    style = theme.style(mode)
    counts = np.asarray(counts, float)
    columns = rows if columns is None else columns
    full = style.colour(domain)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = theme.new_figure(
        mode,
        "confusion",
        f"{f'Label of the {network}' if network else 'Given label'} (% of each true class)",
        f"True class, {DOMAINS[domain]} validation",
        aspect=0.95,
    )
    figure.layout.meta["z"] = "per cent of the class's validation images"
    figure.add_heatmap(
        z=share,
        x=list(map(str, columns)),
        y=list(map(str, rows)),
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        showscale=False,
        uid=trace_id("confusion", domain),
        colorscale=shades(full, style),
        text=[[f"{cell:.0f}" if cell >= 0.5 else "" for cell in row] for row in share],
        texttemplate="%{text}" if counts.size <= NUMBERED_CELLS else None,
        customdata=counts,
        name=DOMAINS[domain],
        hovertemplate=f"<b>%{{z:.1f}} %</b> of true %{{y}} given %{{x}}<br>%{{customdata:,}} {DOMAINS[domain]} "
        "validation images<extra></extra>",
        meta={"domain": domain, "customdata": ["images"]},
    )
    figure.update_xaxes(type="category", showline=False, ticks="", showgrid=False, constrain="domain")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, scaleanchor="x", constrain="domain")
    if mode == "print":
        draw_as_vectors(figure, share, full, style)
    return figure


def shades(full: str, style: theme.Style) -> list[list[float | str]]:
    """The colours of cells from 0 to 100 %; white numbers can be read on the last one."""
    return [[0, theme.mix(full, style.surface, 0.05)], [1, theme.with_contrast(full, "#FFFFFF", theme.TEXT_CONTRAST)]]


def draw_as_vectors(figure: go.Figure, share: np.ndarray, full: str, style: theme.Style) -> None:
    """Draw cells as rectangles, because plotly draws a heatmap as pixels. The invisible trace stays for the CSV."""
    trace = figure.data[0]
    trace.visible = "legendonly"
    high, wide = share.shape
    figure.update_xaxes(categoryorder="array", categoryarray=trace.x, range=[-0.5, wide - 0.5], dtick=1)
    figure.update_yaxes(
        categoryorder="array", categoryarray=trace.y, autorange=False, range=[high - 0.5, -0.5], dtick=1
    )
    cells = [(row, column) for row in range(high) for column in range(wide)]
    figure.update_layout(
        shapes=[
            {
                "type": "rect",
                "x0": column - 0.48,
                "x1": column + 0.48,
                "y0": row - 0.48,
                "y1": row + 0.48,
                "line_width": 0,
                "fillcolor": theme.mix(full, style.surface, 0.05 + 0.95 * share[row, column] / 100),
            }
            for row, column in cells
        ]
    )
    if trace.texttemplate:
        figure.update_layout(
            annotations=[
                {
                    "x": column,
                    "y": row,
                    "text": trace.text[row][column],
                    "showarrow": False,
                    "font": {"color": style.surface if share[row, column] > 55 else style.ink},
                }
                for row, column in cells
                if trace.text[row][column]
            ]
        )
