"""Agreement of a run's students with the teacher on synthetic images, by epoch of the student."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, trace_id

SERIES = {"agreement": "given the teacher's label", "confidence": "mean probability of that label"}


def agreement(
    chosen: pd.DataFrame,
    all_images: pd.DataFrame,
    mode: Mode = "light",
    *,
    images: tuple[int, int],
    epoch: int | None = None,
    epochs: int | None = None,
) -> go.Figure:
    """Agreement of the students with the teacher.

    Args:
        chosen: Columns ``epoch`` (of the student), ``agreement`` and ``confidence`` (per cent), over the chosen images.
        all_images: The same columns over all images.
        mode: light, dark or print.
        images: Numbers of chosen and of all images.
        epoch: Epoch of the images, to mark.
        epochs: Number of epochs of the run, so that the axis does not change.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "agreement", "Student of epoch", "Agreement (%)")
    figure.layout.meta["y"] = "per cent"
    figure.update_yaxes(theme.per_cent_axis(tickvals=[0, 25, 50, 75, 100]))
    last = epochs or int(all_images["epoch"].max())
    figure.update_xaxes(
        range=[1 - 0.03 * last, last + 0.03 * last],
        tickformat="d",
        minallowed=0,
        **({"dtick": 1} if last <= 12 else {"nticks": 10}),
    )
    if epoch is not None:
        figure.add_vline(epoch, line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"})
        left = epoch > last / 2  # put the label on the side of the mark that has room
        figure.add_annotation(
            theme.muted_note(
                style,
                "made here",
                x=epoch,
                y=1,
                yref="paper",
                yanchor="top",
                xanchor="right" if left else "left",
                xshift=-4 if left else 4,
            )
        )
    for who, points, count in (("all", all_images, images[1]), ("chosen", chosen, images[0])):
        for series, label in SERIES.items():
            thin, faint = series == "confidence", who == "all"
            name = f"{theme.format_count(count)} {'in all' if faint else 'selected'}: {label}"
            figure.add_scatter(
                x=points["epoch"],
                y=points[series],
                name=name,
                uid=trace_id("agreement", who, series),
                mode="lines+markers",
                opacity=0.4 if faint else 1,
                line={"color": style.ink, "width": style.thin_width if thin else style.line_width},
                marker={
                    "size": style.dot_size * (0.75 if faint else 1),
                    "color": style.surface if thin else style.ink,
                    "line": {"color": style.ink, "width": style.thin_width if thin else 0},
                },
                hovertemplate=f"<b>%{{y:.1f}} %</b> {label}, student of epoch %{{x}}"
                f"<extra>{theme.format_count(count)} images</extra>",
                meta={"images": who, "series": series},
            )
    return figure
