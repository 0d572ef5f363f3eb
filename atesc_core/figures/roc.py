"""A score as a detector of OOD images: the ROC curve, and the threshold on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, Style, format_number, trace_id
from atesc_core.robustness.detection import Roc, rates
from atesc_core.robustness.detection import roc as roc_curve
from atesc_core.vocabulary import RULE_NAMES

Images = Literal["real", "synthetic"]
ROLES: dict[str, str] = {"real": "ood", "synthetic": "synthetic"}
NAMES: dict[str, str] = {"real": "real validation images", "synthetic": "synthetic, by the oracle"}

MAX_POINTS = 500  # per curve: 20 000 images would give more points than a screen has pixels


def roc(
    labelled: Mapping[Images, tuple[ArrayLike, ArrayLike]],
    threshold: float | None = None,
    mode: Mode = "light",
    *,
    suggestions: Mapping[str, float] | None = None,
) -> go.Figure:
    """Robust as a sign of OOD: ROC curve.

    Images that are all ID or all OOD have no curve.

    Args:
        labelled: For ``real`` and ``synthetic`` images the scores, (N,), and which images are OOD, (N,) bool: true
            labels of real images, the oracle's labels of synthetic images.
        threshold: Threshold of the split, drawn as a dot on each curve.
        mode: light, dark or print.
        suggestions: Rule -> threshold, drawn as triangles on the curve of the real images.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "roc", "ID images called robust (%)", "OOD images called robust (%)", aspect=0.95)
    figure.layout.meta.update(x="false alarms, per cent of ID images", y="recall, per cent of OOD images")
    figure.update_xaxes(theme.per_cent_axis(constrain="domain"))
    figure.update_yaxes(theme.per_cent_axis(scaleanchor="x", constrain="domain"))
    figure.add_shape(
        type="line",
        x0=0,
        y0=0,
        x1=100,
        y1=100,
        layer="below",
        line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"},
    )
    drawn = 0
    for images, (image_scores, image_is_ood) in labelled.items():
        scores, is_ood = np.asarray(image_scores, float), np.asarray(image_is_ood, bool)
        try:
            curve = roc_curve(scores, is_ood)
        except ValueError:  # only ID images or only OOD images
            continue
        drawn += 1
        _curve(figure, style, images, curve, len(scores))
        if threshold is not None:
            _point(figure, style, images, "threshold", threshold, scores, is_ood)
        for name, value in (suggestions or {}).items() if images == "real" else ():
            _point(figure, style, images, name, value, scores, is_ood)
    return figure if drawn else theme.show_message(figure, "Needs ID and OOD images")


def _curve(figure: go.Figure, style: Style, images: Images, curve: Roc, count: int) -> None:
    indices = np.unique(np.linspace(0, len(curve.recall) - 1, MAX_POINTS).round().astype(int))
    figure.add_scatter(
        x=100 * curve.false_alarms[indices],
        y=100 * curve.recall[indices],
        customdata=[format_number(value) for value in curve.thresholds[indices]],
        uid=trace_id("roc", images),
        mode="lines",
        name=f"{NAMES[images]}, AUROC <b>{curve.auroc:.3f}</b>",
        cliponaxis=False,
        line={"color": style.colour(ROLES[images]), "width": style.line_width, "shape": "linear"},
        hovertemplate=f"<b>%{{y:.1f}} %</b> of OOD and %{{x:.1f}} % of ID robust above %{{customdata}}<br>"
        f"{theme.format_count(count)} {NAMES[images]}<extra></extra>",
        meta={"images": images, "customdata": ["threshold"]},
    )


def _point(
    figure: go.Figure,
    style: Style,
    images: Images,
    name: str,
    threshold: float,
    scores: NDArray[np.float64],
    is_ood: NDArray[np.bool_],
) -> None:
    point, is_split = rates(scores, is_ood, threshold), name == "threshold"
    if point.false_alarms is None or point.recall is None:
        return  # only ID images or only OOD images: there is no curve either
    label = RULE_NAMES.get(name, name)
    precision = "–" if point.precision is None else f"{100 * point.precision:.1f} %"
    figure.add_scatter(
        x=[100 * point.false_alarms],
        y=[100 * point.recall],
        uid=trace_id("roc", images, name),
        mode="markers",
        name=label,
        showlegend=False,
        cliponaxis=False,
        marker={
            "size": (1.6 if is_split else 1.3) * style.dot_size,
            "symbol": "circle" if is_split else "triangle-down",
            "color": style.colour(ROLES[images]) if is_split else style.muted,
            "line": {"color": style.surface, "width": style.thin_width if is_split else 0},
        },
        hovertemplate=f"<b>{label} {format_number(threshold)}</b><br>precision {precision}, recall %{{y:.1f}} %, "
        f"false alarms %{{x:.1f}} %<br>{NAMES[images]}<extra></extra>",
        meta={"images": images, "group": name},
    )
