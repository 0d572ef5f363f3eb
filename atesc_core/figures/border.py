"""A teacher's prediction on blends of an ID image and an OOD image."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, trace_id


def border(curves: pd.DataFrame, mode: Mode = "light", marked_share: float | None = None) -> go.Figure:
    """Trust in the ID label from ID to OOD.

    ``curves``: columns ``share``, per cent of the OOD image in the blend, and ``NTL`` and ``SL``, if known:
    the probability that this teacher gives to the ID image's true class, in per cent. ``marked_share``: to mark.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "border", "Share of the OOD image (%)", "Probability of the ID image's class (%)")
    figure.update_yaxes(theme.per_cent_axis(range=[-2, 104]))
    for kind in ("NTL", "SL"):
        if kind in curves:
            figure.add_scatter(
                x=curves["share"],
                y=curves[kind],
                uid=trace_id("border", kind),
                name=f"{kind} teacher",
                mode="lines+markers",
                line={"color": style.colour(kind), "width": style.line_width},
                marker={"size": 0.7 * style.dot_size},
                cliponaxis=False,
                meta={"teacher": kind},
                hovertemplate=f"<b>%{{y:.1f}} %</b> for the ID image's class, {kind} teacher<br>"
                "%{x:.0f} % of the OOD image<extra></extra>",
            )
    figure.update_xaxes(range=[-2, 102], tickvals=[0, 20, 40, 60, 80, 100], minallowed=-2, maxallowed=102)
    if marked_share is not None:
        figure.add_shape(
            name="place",
            type="line",
            x0=marked_share,
            x1=marked_share,
            y0=0,
            y1=1,
            yref="paper",
            line={"color": style.ink, "width": style.thin_width},
        )
    return figure if len(curves) else theme.show_message(figure, "Nothing to blend")
