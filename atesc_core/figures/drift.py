"""Drift of synthetic images towards real OOD images by epoch. It can be compared between feature spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.accuracy import LABEL_GAP, spread_labels
from atesc_core.figures.theme import DASHES, Mode, Style, trace_id
from atesc_core.vocabulary import ESCAPE_NAMES


@dataclass(frozen=True)
class Drift:
    """The drift of one run.

    Attributes:
        epochs: (E,)
        shares: (E,) per cent of each epoch's synthetic images whose nearest real images are OOD, not ID.
        teacher: Kind of the run's teacher.
        escape: Kind of the run's escape.
        real: The same share for real ID images. It shows how well this feature space separates the domains.
        curve_id: Identity of the traces from one redraw to the next.
    """

    epochs: Sequence[int]
    shares: Sequence[float]
    teacher: Literal["NTL", "SL"]
    escape: str = "none"
    real: float | None = None
    curve_id: str = ""

    @property
    def name(self) -> str:
        """Teacher and escape."""
        return f"{self.teacher} teacher, {ESCAPE_NAMES[self.escape]}"

    @property
    def key(self) -> str:
        """Identity of the traces from one redraw to the next."""
        return self.curve_id or self.name


def drift(lines: Sequence[Drift], mode: Mode = "light", epoch: int | None = None) -> go.Figure:
    """Synthetic images nearer to OOD than to ID.

    The teacher sets the colour of a line, the escape its dash. If two lines share both, the second is thin with open
    dots.

    Args:
        lines: One for each run.
        mode: light, dark or print.
        epoch: An epoch to mark.
    """
    style = theme.style(mode)
    # In print the legend has a row for each line.
    figure = theme.new_figure(mode, "drift", "Epoch", "Nearer to OOD (%)", aspect=0.9)
    figure.layout.meta["y"] = "per cent of synthetic images"
    figure.update_yaxes(theme.per_cent_axis())
    last = max((max(line.epochs, default=1) for line in lines), default=1)
    figure.update_xaxes(
        range=[1 - 0.03 * last, last + 0.03 * last],
        tickformat="d",
        minallowed=0,
        **({"dtick": 1} if last <= 12 else {"nticks": 10}),
    )
    if epoch is not None:
        figure.add_vline(epoch, line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"})
    drawn: set[tuple[str, str]] = set()
    levels: set[tuple[str, float]] = set()  # two runs of one teacher have the same level
    for line in lines:
        if line.real is not None and (line.teacher, line.real) not in levels:
            levels.add((line.teacher, line.real))
            _draw_level(figure, style, line, line.real, [1 - 0.03 * last, last + 0.03 * last])
        _draw(figure, style, line, thin=(line.teacher, line.escape) in drawn)
        drawn.add((line.teacher, line.escape))
    ends = [line for line in lines if len(line.shares)]
    for line, height in zip(ends, spread_labels([line.shares[-1] for line in ends], 2 * LABEL_GAP[mode]), strict=True):
        figure.add_annotation(
            x=line.epochs[-1],
            y=height,
            text=f"<b>{line.shares[-1]:.1f}</b>",
            xanchor="left",
            xshift=0.7 * style.dot_size + 2,
            yanchor="middle",
            font={"color": style.text_colour(line.teacher)},
        )
    figure.update_layout(margin_r=3.6 * figure.layout.template.layout.font.size)
    return figure


def _draw_level(figure: go.Figure, style: Style, line: Drift, level: float, x_range: list[float]) -> None:
    """Draw the share of real ID images as a faint level."""
    figure.add_scatter(
        x=x_range,
        y=[level, level],
        name=f"real ID, {line.teacher} teacher",
        uid=trace_id("drift", line.key, "real"),
        legendrank=1001,
        mode="lines",
        opacity=0.45,
        line={"color": style.colour(line.teacher), "width": style.thin_width},
        hovertemplate=f"<b>%{{y:.1f}} %</b> of real ID validation images, {line.teacher} teacher<extra></extra>",
        meta={"teacher": line.teacher, "images": "real ID validation"},
    )


def _draw(figure: go.Figure, style: Style, line: Drift, thin: bool) -> None:
    colour, width = style.colour(line.teacher), style.thin_width if thin else style.line_width
    figure.add_scatter(
        x=list(line.epochs),
        y=list(line.shares),
        name=line.name,
        uid=trace_id("drift", line.key),
        mode="lines+markers",
        line={"color": colour, "width": width, "dash": DASHES[line.escape]},
        marker={
            "size": style.dot_size,
            "color": style.surface if thin else colour,
            "line": {"color": colour, "width": width if thin else 0},
        },
        hovertemplate=f"<b>%{{y:.1f}} %</b> nearer to OOD, epoch %{{x}}<br>{line.name}<extra></extra>",
        meta={"teacher": line.teacher, "escape": line.escape, "images": "synthetic"},
    )
