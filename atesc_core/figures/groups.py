"""The fragile and the robust group of synthetic images: their classes and their images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, trace_id


def class_sides(
    labels: ArrayLike, fragile: ArrayLike, mode: Mode = "light", *, class_names: Sequence[str]
) -> go.Figure:
    """Teacher classes on each side of the threshold.

    The bars of each side are shares of that group and add up to 100 %, so a class that fills the robust group stands
    out.

    Args:
        labels: (N,) the teacher's label of each synthetic image.
        fragile: (N,) bool.
        mode: light, dark or print.
        class_names: Names of the teacher's classes.
    """
    style = theme.style(mode)
    labels, fragile = np.asarray(labels, int), np.asarray(fragile, bool)
    figure = theme.new_figure(mode, "class_sides", "Share of the group (%)", "", aspect=0.8)
    figure.layout.meta["y"] = "teacher class"
    figure.update_layout(barmode="overlay", legend_traceorder="normal")
    largest = {}
    for role, members, sign in (("fragile", labels[fragile], -1), ("robust", labels[~fragile], 1)):
        counts = np.bincount(members, minlength=len(class_names))
        share = 100 * counts / max(len(members), 1)
        largest[role] = share.max(initial=0)
        figure.add_bar(
            x=sign * share,
            y=list(map(str, class_names)),
            orientation="h",
            width=0.72,
            uid=trace_id("class sides", role),
            name=f"{theme.format_count(len(members))} {role}",
            marker=style.bar_marker(role, counts),
            text=[
                f"{value:.4g}" if value == 100 else f"{value:.1f}" if count else ""
                for value, count in zip(share, counts, strict=True)
            ],
            textposition="outside",
            constraintext="none",
            textfont={"color": style.muted},
            cliponaxis=False,
            customdata=np.column_stack([share.round(2), counts]),
            hovertemplate=f"<b>%{{customdata[0]:.1f}} %</b> of the {role} images are %{{y}}<br>"
            f"%{{customdata[1]}} of {theme.format_count(len(members))}<extra></extra>",
            meta={"group": role, "customdata": ["share of the group, per cent", "images"]},
        )
    margin = (0.16 if mode == "print" else 0.18) * max(sum(largest.values()), 20.0)  # for the numbers next to the bars
    span = [-largest["fragile"] - margin, largest["robust"] + margin]
    figure.update_xaxes(range=span, showgrid=True, **_mirrored_ticks(*span))
    figure.update_yaxes(
        autorange="reversed", showgrid=False, type="category", dtick=1 if len(class_names) <= 30 else None
    )
    figure.add_shape(
        type="line", x0=0, x1=0, y0=0, y1=1, yref="y domain", line={"color": style.muted, "width": style.thin_width}
    )
    return figure if len(labels) else theme.show_message(figure, "No synthetic images yet")


def _mirrored_ticks(left: float, right: float) -> dict[str, list[int] | list[str]]:
    """Ticks on both sides of 0, all labelled with positive numbers."""
    step = next(size for size in (5, 10, 20, 25, 50) if (right - left) / size <= 8 or size == 50)
    ticks = [tick for tick in range(-100, 101, step) if left <= tick <= right]
    return {"tickvals": ticks, "ticktext": [str(abs(tick)) for tick in ticks]}


def contact_sheet(
    images: ArrayLike,
    mode: Mode = "light",
    *,
    fragile: ArrayLike | None = None,
    columns: int = 12,
    count: int | None = None,
) -> go.Figure:
    """Synthetic images by group.

    Args:
        images: (N, 3, H, W) uint8, drawn in this order.
        mode: light, dark or print.
        fragile: (N,) bool, sets the colour of each image's frame; None draws no frames.
        columns: Number of images in a row.
        count: The largest number of images to draw.
    """
    style = theme.style(mode)
    images = np.asarray(images)[:count]
    frames = None if fragile is None else np.asarray(fragile, bool)[:count]
    figure = theme.new_figure(mode, "contact_sheet", "", "")
    if not len(images):
        return theme.show_message(figure, "No synthetic images yet")
    sheet = mosaic(images, frames, columns, style)
    height, width = sheet.shape[:2]
    figure.layout.meta["aspect"] = 0.95 * height / width + (0.02 if frames is None else 0.12)
    figure.add_layout_image(
        source=_data_uri(sheet), x=0, y=1, xref="x", yref="y", sizex=1, sizey=1, sizing="stretch", layer="below"
    )
    groups = {} if frames is None else {"fragile": frames, "robust": ~frames}
    for role, members in groups.items():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=f"{theme.format_count(int(members.sum()))} {role}",
            uid=trace_id("sheet", role),
            meta={"skip": True},
            marker={
                "symbol": "square",
                "size": 1.6 * style.dot_size,
                "color": style.colour(role),
                "line": {"color": style.outline(role), "width": style.thin_width},
            },
        )
    figure.update_xaxes(range=[0, 1], visible=False, fixedrange=True, constrain="domain")
    figure.update_yaxes(
        range=[0, 1],
        visible=False,
        fixedrange=True,
        scaleanchor="x",
        scaleratio=height / width,
        constrain="domain",
        constraintoward="top",
    )
    return figure


def mosaic(
    images: NDArray[np.uint8], fragile: NDArray[np.bool_] | None, columns: int, style: theme.Style
) -> NDArray[np.uint8]:
    """Images (N, 3, H, W) side by side as (rows·cell, columns·cell, 4) RGBA, enlarged so that pixels stay square.

    ``fragile``: (N,) bool, gives each image the frame of its group.
    """
    zoom = max(1, math.ceil(64 / images.shape[-1]))
    big = images.repeat(zoom, axis=2).repeat(zoom, axis=3).transpose(0, 2, 3, 1)
    edge, gap = (max(2, big.shape[1] // 20), max(2, big.shape[1] // 16)) if fragile is not None else (0, 4)
    cell = [side + 2 * (edge + gap) for side in big.shape[1:3]]
    rows = math.ceil(len(big) / columns)
    sheet = np.zeros((rows * cell[0], min(columns, len(big)) * cell[1], 4), np.uint8)
    for index, picture in enumerate(big):
        top, left = (index // columns) * cell[0] + gap, (index % columns) * cell[1] + gap
        high, wide = picture.shape[0] + 2 * edge, picture.shape[1] + 2 * edge
        if fragile is not None:
            role = "fragile" if fragile[index] else "robust"
            sheet[top : top + high, left : left + wide] = [*bytes.fromhex(style.outline(role)[1:]), 255]
            sheet[top + 1 : top + high - 1, left + 1 : left + wide - 1] = [*bytes.fromhex(style.colour(role)[1:]), 255]
        inside = sheet[top + edge : top + high - edge, left + edge : left + wide - edge]
        inside[..., :3], inside[..., 3] = picture, 255
    return sheet


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
