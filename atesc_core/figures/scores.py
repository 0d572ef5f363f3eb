"""The histogram of robustness scores, and the line that splits it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import Look, Mode, number, uid

SCORE_TITLES: dict[str, str] = {
    "min_eps": "min ε (1/255)",
    "margin": "Smallest margin under attack (logits)",
    "kl": "−KL(T(x) ‖ T(x<sub>adv</sub>)) (nats)",
}
BINS = 40


def scores(values: ArrayLike, threshold: float | None, mode: Mode = "light", *, score: str = "min_eps",
           id_values: ArrayLike | None = None, ood_values: ArrayLike | None = None,
           suggestions: Mapping[str, float] | None = None, max_epsilon: float = 32.0,
           edges: ArrayLike | None = None, line: bool = True) -> go.Figure:
    """Robustness scores.

    ``values``: (N,) scores of synthetic images, stacked by group at ``threshold`` (fragile: at or below
    it); grey where ``threshold`` is None. ``id_values``, ``ood_values``: scores of real test images, drawn
    as outlines of the same area as the synthetic bars. ``suggestions``: name -> threshold, drawn as ticks.
    Scores of ∞ stand in a bin of their own, "> max". ``edges``: the bins' edges, where they must be the same
    in several figures. ``line=False`` leaves the threshold's line to a page that lays a draggable one over.
    """
    style = theme.look(mode)
    values = np.asarray(values, float)
    references = {"id": id_values, "ood": ood_values}
    real = {role: np.asarray(given, float) for role, given in references.items() if given is not None}
    edges = bin_edges(score, [values, *real.values()], max_epsilon) if edges is None else np.asarray(edges, float)
    figure = theme.blank(mode, "scores", SCORE_TITLES[score], "Synthetic images")
    figure.update_layout(barmode="stack", bargap=0, legend_traceorder="normal")
    figure.update_yaxes(rangemode="tozero")
    if mode == "print":
        figure.update_layout(legend={"entrywidthmode": "fraction", "entrywidth": 0.48})
    figure.layout.meta.update(x="bin centre", y="images")
    _bars(figure, style, values, threshold, edges)
    for role, given in real.items():
        _outline(figure, style, role, given, edges, len(values))
    _axis(figure, score, edges, has_infinite=any(np.isposinf(part).any() for part in (values, *real.values())))
    if threshold is not None and line:
        _line(figure, style, threshold)
    if suggestions:
        _suggest(figure, style, suggestions, threshold)
    return figure if len(values) else theme.empty(figure, "No synthetic images yet")


def bin_edges(score: str, parts: list[NDArray[np.float64]], max_epsilon: float = 32.0) -> NDArray[np.float64]:
    """Edges of the bins of finite scores; min ε has fixed ones, so that its histograms can be compared."""
    if score == "min_eps":
        return np.linspace(0, max_epsilon, BINS + 1 if max_epsilon != 32 else 33)
    finite = np.concatenate([part[np.isfinite(part)] for part in parts] or [np.empty(0)])
    if not len(finite):
        return np.linspace(0, 1, BINS + 1)
    low, high = np.percentile(finite, [1, 99])  # a few far ones would leave the rest in two bins
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Images a bin, and last those with a score of ∞: (len(edges),).

    A bin takes its upper edge and not its lower one, as the split does: fragile is *at or below* the
    threshold. Finite scores outside the edges count in the first or the last bin.
    """
    bins = len(edges) - 1
    finite = values[np.isfinite(values)]
    place = np.clip(np.searchsorted(edges, finite, side="left") - 1, 0, bins - 1)
    return np.append(np.bincount(place, minlength=bins), np.isposinf(values).sum())


def bin_names(edges: NDArray[np.float64]) -> list[str]:
    """What each of ``counts`` holds, in words."""
    inner = [f"{number(low)} to {number(high)}" for low, high in zip(edges[1:-2], edges[2:-1], strict=True)]
    return [f"up to {number(edges[1])}", *inner, f"above {number(edges[-2])}", "∞"]


def _centres(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the bars stand: the middle of each bin, and for ∞ two bins past the last edge."""
    width = edges[1] - edges[0]
    return np.append((edges[:-1] + edges[1:]) / 2, edges[-1] + 1.5 * width)


def _bars(figure: go.Figure, style: Look, values: NDArray[np.float64], threshold: float | None,
          edges: NDArray[np.float64]) -> None:
    if threshold is None:
        groups = {"synthetic": values}
    else:
        groups = {"fragile": values[values <= threshold], "robust": values[values > threshold]}
    for role, part in groups.items():
        share = f" {100 * len(part) / len(values):.1f} %" if len(values) and threshold is not None else ""
        figure.add_bar(
            x=_centres(edges), y=counts(part, edges), width=0.94 * (edges[1] - edges[0]), uid=uid("scores", role),
            name=role + share, marker={"color": style.colour(role), "line_width": 0},
            customdata=bin_names(edges), hovertemplate=f"<b>%{{y}}</b> {role}, score %{{customdata}}<br>"
            f"{len(part):,} of {len(values):,} images<extra></extra>",
            meta={"group": role, "customdata": ["bin"]})


def _outline(figure: go.Figure, style: Look, role: str, values: NDArray[np.float64], edges: NDArray[np.float64],
             images: int) -> None:
    """A staircase over the bins; the bin of ∞ is a separate step."""
    scale = images / len(values) if len(values) else 0.0
    found = counts(values, edges)
    height, share, names = found * scale, 100 * found / max(len(values), 1), bin_names(edges)
    width, bins = edges[1] - edges[0], len(edges) - 1
    steps = [*np.repeat(np.arange(bins), 2), *[bins] * 6]
    far = [np.nan, edges[-1] + width, edges[-1] + width, edges[-1] + 2 * width, edges[-1] + 2 * width]
    figure.add_scatter(
        x=[edges[0], *np.repeat(edges[1:-1], 2), edges[-1], edges[-1], *far],
        y=[*np.repeat(height[:-1], 2), 0, np.nan, 0, height[-1], height[-1], 0],
        uid=uid("scores", role, "outline"), mode="lines", connectgaps=False,
        name=f"{role.upper()}{'' if style.mode == 'print' else ' test'}, same area",
        customdata=np.column_stack([names, share.round(1)])[steps],
        hovertemplate=f"<b>%{{customdata[1]}} %</b> of {len(values):,} {role.upper()} test images, "
        "score %{customdata[0]}<extra></extra>",
        line={"color": style.colour(role), "width": style.line * 0.8}, meta={"group": f"{role} outline"})


def _axis(figure: go.Figure, score: str, edges: NDArray[np.float64], has_infinite: bool) -> None:
    width = edges[1] - edges[0]
    if score != "min_eps":
        figure.update_xaxes(range=[edges[0] - width, edges[-1] + (2.5 * width if has_infinite else width)])
        return
    ticks = np.unique(np.linspace(0, edges[-1], 9).round(2))
    figure.update_xaxes(range=[-width / 2, edges[-1] + 2.5 * width], tickmode="array",
                        tickvals=[*ticks, edges[-1] + 1.5 * width], minallowed=-width,
                        ticktext=[*(f"{tick:g}" for tick in ticks[:-1]), "", f"> {edges[-1]:g}"])


def _suggest(figure: go.Figure, style: Look, suggestions: Mapping[str, float],
             threshold: float | None) -> None:
    """A tick a suggestion, each a line lower than the one before so that their names never meet."""
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True,
                                 "showgrid": False})
    levels = [0.88 - (0.13 if style.mode == "print" else 0.085) * place for place in range(len(suggestions))]
    at = list(suggestions.values())
    sides = ["middle left" if threshold is not None and x <= threshold else "middle right" for x in at]
    figure.add_scatter(
        x=at, y=levels, yaxis="y2", uid=uid("scores", "suggestions"), name="suggested threshold",
        mode="markers+text", text=list(suggestions), textposition=sides, textfont={"color": style.muted},
        marker={"symbol": "triangle-down", "size": 1.3 * style.dot, "color": style.muted}, showlegend=False,
        hovertemplate="%{text} suggests %{x:.2f}<extra></extra>", meta={"group": "suggested threshold"})
    for x, level in zip(at, levels, strict=True):
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=level, yref="y2", layer="below",
                         line={"color": style.muted, "width": style.thin, "dash": "2px,3px"})


def _line(figure: go.Figure, style: Look, threshold: float) -> None:
    figure.add_shape(name="threshold", type="line", x0=threshold, x1=threshold, y0=0, y1=1, yref="paper",
                     line={"color": style.ink, "width": style.line})
    low, high = figure.layout.xaxis.range
    right_side = threshold < low + 0.75 * (high - low)
    figure.add_annotation(name="threshold", x=threshold, y=1, yref="paper", yanchor="top",
                          xanchor="left" if right_side else "right", xshift=4 if right_side else -4,
                          text=f"threshold <b>{number(threshold)}</b>")
