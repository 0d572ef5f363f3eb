"""What an escape costs, class by class: the recall of each ID class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.teacher import NUMBERED_CELLS, draw_as_vectors, shades
from atesc_core.figures.theme import Mode, trace_id


@dataclass(frozen=True)
class RecallRow:
    """The recall of each class of one student, or their means over seeds."""

    label: str
    recalls: Sequence[float | None]  # (C,) per cent, by label; None: the class has no images
    trap_label: int | None = None  # its cell is outlined
    name: str = ""  # shown beside the label on hover


def recalls(rows: Sequence[RecallRow], mode: Mode = "light", *, classes: Sequence[str]) -> go.Figure:
    """Recall by class.

    A row for each student, a column for each class; the cell of the trap label's own class is outlined.

    Args:
        rows: At least one.
        mode: light, dark or print.
        classes: Names of the labels.
    """
    style = theme.style(mode)
    values = np.array([[np.nan if recall is None else recall for recall in row.recalls] for row in rows], float)
    known, full = np.nan_to_num(values), style.colour("id")
    figure = theme.new_figure(
        mode,
        "recalls",
        "ID class (outlined: the trap label's)" if any(row.trap_label is not None for row in rows) else "ID class",
        "Student",
        aspect=min(0.16 + 0.09 * len(rows), 1.2),
    )
    figure.layout.meta["z"] = "recall, per cent of the class's test images"
    figure.add_heatmap(
        z=values,
        x=list(map(str, classes)),
        y=[row.label for row in rows],
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        showscale=False,
        uid=trace_id("recalls"),
        colorscale=shades(full, style),
        text=[["–" if np.isnan(cell) else f"{cell:.0f}" for cell in row] for row in values],
        texttemplate="%{text}" if values.size <= NUMBERED_CELLS else None,
        customdata=[[row.name or row.label] * len(classes) for row in rows],
        hovertemplate="<b>%{z:.1f} %</b> of true %{x} right<br>%{customdata}<extra></extra>",
        meta={"customdata": ["student"]},
    )
    figure.update_xaxes(type="category", showline=False, ticks="", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, automargin=True)
    if mode == "print":
        draw_as_vectors(figure, known, full, style)
    for number, row in enumerate(rows):
        if row.trap_label is not None:
            figure.add_shape(
                type="rect",
                x0=row.trap_label - 0.48,
                x1=row.trap_label + 0.48,
                y0=number - 0.46,
                y1=number + 0.46,
                line={"color": style.colour("ood"), "width": 1.5 * style.line_width},
            )
    return figure
