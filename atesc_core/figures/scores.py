"""The histogram of robustness scores and the threshold that splits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, Style, format_number, trace_id
from atesc_core.vocabulary import ONE_GROUP, RULE_NAMES, SCORE_TITLES

BINS = 40
MIN_EPS_BINS, MIN_EPS_STRETCH = 32, 8  # 1/255 wide where 32/255 is the largest ε; axes end at a multiple of 8 bins
LABEL_ROW = {"light": 0.09, "dark": 0.09, "print": 0.13}  # of the plot's height, for each row of labels above the bars
THRESHOLD_KEY = ""  # key of the threshold among the suggestions
MIN_PLOT_WIDTH_PX = {"light": 460, "dark": 460, "print": 250}  # the smallest width in which labels must fit


def scores(
    values: ArrayLike,
    threshold: float | None,
    mode: Mode = "light",
    *,
    score: str = "min_eps",
    id_values: ArrayLike | None = None,
    ood_values: ArrayLike | None = None,
    suggestions: Mapping[str, float] | None = None,
    max_epsilon: float = 32.0,
    edges: ArrayLike | None = None,
    draw_threshold: bool = True,
) -> go.Figure:
    """Robustness scores.

    Args:
        values: (N,) scores of synthetic images, stacked by group; scores of ∞ have a separate bin, "> max".
        threshold: Images at or below it are fragile; None draws all images in grey. ∞ (one group) draws no line, and a
            note says so.
        mode: light, dark or print.
        score: Name of the score.
        id_values: (M,) scores of real ID validation images, drawn as an outline of the same area as the bars.
        ood_values: The same for OOD validation images.
        suggestions: Rule -> suggested threshold, drawn as ticks; ∞ has none.
        max_epsilon: The largest ε of the attack, in 1/255.
        edges: Edges of the bins, if several figures must share them.
        draw_threshold: False if the page draws a movable threshold over the figure.
    """
    style = theme.style(mode)
    values = np.asarray(values, float)
    references = {"id": id_values, "ood": ood_values}
    real = {role: np.asarray(role_values, float) for role, role_values in references.items() if role_values is not None}
    all_values = [values, *real.values()]
    if edges is None:
        edges = bin_edges(score, [*all_values, np.array([] if threshold is None else [threshold])], max_epsilon)
    edges = np.asarray(edges, float)
    figure = theme.new_figure(mode, "scores", SCORE_TITLES[score], "Synthetic images")
    figure.update_layout(barmode="stack", bargap=0, legend_traceorder="normal")
    if mode == "print":
        figure.update_layout(legend={"entrywidthmode": "fraction", "entrywidth": 0.48})
    figure.layout.meta.update(x="bin centre", y="images")
    _bars(figure, style, values, threshold, edges)
    for role, real_values in real.items():
        _outline(figure, style, role, real_values, edges, len(values))
    infinite = (
        f"> {max_epsilon:g}" if score == "min_eps" else "∞" if np.isposinf(np.concatenate(all_values)).any() else ""
    )
    _axis(figure, edges, infinite)
    suggestions = {name: value for name, value in (suggestions or {}).items() if np.isfinite(value)}
    if threshold is not None and np.isinf(threshold):
        draw_threshold = False
        top = {"x": 1, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "top"}
        figure.add_annotation(theme.muted_note(style, ONE_GROUP, **top))
    placements = _place_labels(figure, style, suggestions, threshold, draw_threshold)
    heights = [bin_counts(values, edges), *(_outline_height(part, edges, len(values)) for part in real.values())]
    headroom = LABEL_ROW[mode] * (1 + max((placement.row for placement in placements.values()), default=-1))
    figure.update_yaxes(range=[0, max(np.max(heights), 1) / (0.98 - headroom)])
    if threshold is not None and draw_threshold:
        _draw_threshold(figure, style, threshold, placements[THRESHOLD_KEY])
    if suggestions:
        _draw_suggestions(figure, style, suggestions, placements)
    return figure if len(values) else theme.show_message(figure, "No synthetic images yet")


def bin_edges(
    score: str, parts: Sequence[NDArray[np.float32] | NDArray[np.float64]], max_epsilon: float = 32.0
) -> NDArray[np.float64]:
    """Edges of the bins of the finite scores in all ``parts``.

    Bins of min ε are whole steps up to the largest score, rounded up so that the axis seldom changes between epochs.
    """
    finite = np.concatenate([part[np.isfinite(part)] for part in parts] or [np.empty(0)])
    if score == "min_eps":
        step = max_epsilon / MIN_EPS_BINS
        bins = MIN_EPS_STRETCH * int(np.clip(np.ceil(finite.max(initial=0) / step / MIN_EPS_STRETCH), 1, None))
        return step * np.arange(min(bins, MIN_EPS_BINS) + 1, dtype=np.float64)
    if not len(finite):
        return np.linspace(0, 1, BINS + 1)
    low, high = np.percentile(finite, [1, 99])  # a few extreme scores would leave all others in two bins
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def bin_counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """(len(edges),) number of images in each bin; the last is the bin of ∞."""
    return np.bincount(bin_index(values, edges), minlength=len(edges))


def bin_index(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) index of the bin of each score; a score of ∞ has the last, len(edges) − 1.

    A bin includes its upper edge and not its lower one, as in the split: fragile is *at or below* the threshold.
    Finite scores outside the edges are in the first or the last bin.
    """
    bins = len(edges) - 1
    finite = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, bins - 1)
    return np.where(np.isposinf(values), bins, finite)


def bin_names(edges: NDArray[np.float64]) -> list[str]:
    """The range of each bin of ``bin_counts`` as text."""
    inner = [
        f"{format_number(low)} to {format_number(high)}" for low, high in zip(edges[1:-2], edges[2:-1], strict=True)
    ]
    return [f"up to {format_number(edges[1])}", *inner, f"above {format_number(edges[-2])}", "∞"]


def _centres(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres of the bars: the middle of each bin, and for ∞ two bins past the last edge."""
    width = edges[1] - edges[0]
    centres: NDArray[np.float64] = np.append((edges[:-1] + edges[1:]) / 2, edges[-1] + 1.5 * width)
    return centres


def _bars(
    figure: go.Figure, style: Style, values: NDArray[np.float64], threshold: float | None, edges: NDArray[np.float64]
) -> None:
    if threshold is None:
        groups = {"synthetic": values}
    else:
        groups = {"fragile": values[values <= threshold], "robust": values[values > threshold]}
    for role, part in groups.items():
        share = f" {100 * len(part) / len(values):.1f} %" if len(values) and threshold is not None else ""
        heights = bin_counts(part, edges)
        figure.add_bar(
            x=_centres(edges),
            y=heights,
            width=0.94 * (edges[1] - edges[0]),
            uid=trace_id("scores", role),
            name=role + share,
            marker=style.bar_marker(role, heights),
            customdata=bin_names(edges),
            hovertemplate=f"<b>%{{y}}</b> {role}, score %{{customdata}}<br>"
            f"{theme.format_count(len(part))} of {theme.format_count(len(values))} images<extra></extra>",
            meta={"group": role, "customdata": ["bin"]},
        )


def _outline_height(values: NDArray[np.float64], edges: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Counts scaled to the area of ``images`` images."""
    return bin_counts(values, edges).astype(np.float64) * (images / max(len(values), 1))


def _outline(
    figure: go.Figure, style: Style, role: str, values: NDArray[np.float64], edges: NDArray[np.float64], images: int
) -> None:
    """A step line over the bins; the bin of ∞ is a separate step."""
    height = _outline_height(values, edges, images)
    share, names = 100 * bin_counts(values, edges) / max(len(values), 1), bin_names(edges)
    width, bins = edges[1] - edges[0], len(edges) - 1
    steps = [*np.repeat(np.arange(bins), 2), *[bins] * 6]
    far = [np.nan, edges[-1] + width, edges[-1] + width, edges[-1] + 2 * width, edges[-1] + 2 * width]
    figure.add_scatter(
        x=[edges[0], *np.repeat(edges[1:-1], 2), edges[-1], edges[-1], *far],
        y=[*np.repeat(height[:-1], 2), 0, np.nan, 0, height[-1], height[-1], 0],
        uid=trace_id("scores", role, "outline"),
        mode="lines",
        connectgaps=False,
        name=f"{role.upper()}{'' if style.mode == 'print' else ' validation'}, same area",
        customdata=np.column_stack([names, share.round(1)])[steps],
        hovertemplate=f"<b>%{{customdata[1]}} %</b> of {theme.format_count(len(values))} {role.upper()} "
        "validation images, score %{customdata[0]}<extra></extra>",
        line={"color": style.colour(role), "width": style.line_width * 0.8},
        meta={"group": f"{role} outline"},
    )


def _axis(figure: go.Figure, edges: NDArray[np.float64], infinite: str) -> None:
    """``infinite``: label of the bin of ∞; empty if there is none."""
    width = edges[1] - edges[0]
    step = 2.0 ** np.ceil(np.log2((edges[-1] - edges[0]) / 9))
    last = edges[-1] - (0.7 * step if infinite else 0)  # leave room for the name of the bin of ∞
    ticks = np.arange(np.ceil(edges[0] / step), last / step + 1e-9) * step + 0.0  # turns −0 into 0
    end = edges[-1] + (2.5 if infinite else 0.5) * width
    figure.update_xaxes(
        range=[edges[0] - 0.5 * width, end],
        tickmode="array",
        tickangle=0,
        tickvals=[*ticks, edges[-1] + 1.5 * width] if infinite else ticks,
        ticktext=[format_number(tick) for tick in ticks] + [infinite] * bool(infinite),
    )


@dataclass(frozen=True)
class LabelPlacement:
    """Placement of a threshold's label: its row from the top, and its side of the line."""

    row: int
    side: Literal["left", "right"]
    span: tuple[float, float]

    def overlaps(self, other: LabelPlacement) -> bool:
        """Whether the two labels would overlap."""
        return self.row == other.row and self.span[0] < other.span[1] and other.span[0] < self.span[1]


def _place_labels(
    figure: go.Figure,
    style: Style,
    suggestions: Mapping[str, float],
    threshold: float | None,
    draw_threshold: bool = True,
) -> dict[str, LabelPlacement]:
    """For each label the first placement that overlaps no other label and, if possible, no edge and no threshold.

    If the page draws the threshold itself (``draw_threshold`` is false), the first row stays free for it.
    """
    low, high = figure.layout.xaxis.range
    px = figure.layout.template.layout.font.size * (high - low) / MIN_PLOT_WIDTH_PX[style.mode]
    thresholds = {} if threshold is None else {THRESHOLD_KEY: threshold}
    thresholds |= dict(sorted(suggestions.items(), key=lambda item: item[1]))
    placed: dict[str, LabelPlacement] = {}
    for name, at in thresholds.items():
        width = (0.6 * len(name if name != THRESHOLD_KEY else "threshold 12.3") + 1.5) * px
        candidates = [
            LabelPlacement(row, *side)
            for row in range(len(thresholds))
            for side in (("right", (at, at + width)), ("left", (at - width, at)))
        ]
        free = [
            placement for placement in candidates if not any(placement.overlaps(other) for other in placed.values())
        ]
        best = [
            placement
            for placement in free
            if low <= placement.span[0]
            and placement.span[1] <= high
            and (threshold is None or name == THRESHOLD_KEY or not placement.span[0] < threshold < placement.span[1])
        ]
        placed[name] = (best or free)[0]  # there is one row per name, so one is always free
        if name == THRESHOLD_KEY and not draw_threshold:
            placed[name] = LabelPlacement(0, "right", (-np.inf, np.inf))
    return placed


def _draw_suggestions(
    figure: go.Figure, style: Style, suggestions: Mapping[str, float], placements: Mapping[str, LabelPlacement]
) -> None:
    """A named tick for each suggestion, above the bars."""
    figure.update_layout(
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True, "showgrid": False}
    )
    thresholds = list(suggestions.values())
    levels = [1 - LABEL_ROW[style.mode] * (placements[name].row + 0.5) for name in suggestions]
    figure.add_scatter(
        x=thresholds,
        y=levels,
        yaxis="y2",
        uid=trace_id("scores", "suggestions"),
        name="suggested threshold",
        showlegend=False,
        mode="markers+text",
        text=[RULE_NAMES.get(name, name) for name in suggestions],
        textfont={"color": style.muted},
        textposition=[f"middle {placements[name].side}" for name in suggestions],
        marker={"symbol": "triangle-down", "size": 1.3 * style.dot_size, "color": style.muted},
        hovertemplate="%{text} suggests %{x:.2f}<extra></extra>",
        meta={"group": "suggested threshold"},
    )
    for x, level in zip(thresholds, levels, strict=True):
        figure.add_shape(
            type="line",
            x0=x,
            x1=x,
            y0=0,
            y1=level,
            yref="y2",
            layer="below",
            line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"},
        )


def _draw_threshold(figure: go.Figure, style: Style, threshold: float, placement: LabelPlacement) -> None:
    figure.add_shape(
        name="threshold",
        type="line",
        x0=threshold,
        x1=threshold,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": style.ink, "width": style.line_width},
    )
    right = placement.side == "right"
    figure.add_annotation(
        name="threshold",
        x=threshold,
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="left" if right else "right",
        xshift=4 if right else -4,
        text=f"threshold <b>{format_number(threshold)}</b>",
    )
