"""Class probabilities of one image, before and after the attack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, trace_id

MAX_CLASSES = 12  # classes with the largest probability, before or after the attack


def probabilities(
    before: ArrayLike, after: ArrayLike | None, mode: Mode = "light", *, class_names: Sequence[str], role: str = "ink"
) -> go.Figure:
    """Class probabilities.

    ``before``, ``after``: (C,) in 0..1, of the image and of its adversarial version (None: not known). ``role``:
    sets the colour, which is pale for the image and full for its adversarial version.
    """
    style = theme.style(mode)
    before = np.asarray(before, float)
    parts = {"before": before} if after is None else {"before": before, "after": np.asarray(after, float)}
    shown = np.sort(np.argsort(-np.max(list(parts.values()), axis=0), kind="stable")[:MAX_CLASSES])
    figure = theme.new_figure(mode, "probabilities", "Probability (%)", "", aspect=0.9)
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05, legend_traceorder="normal")
    names = [str(class_names[label]) for label in shown]
    for name, values in parts.items():
        label = "the image" if name == "before" else "attacked"
        colour = style.colour(role) if name == "after" else theme.mix(style.colour(role), style.surface, 0.4)
        figure.add_bar(
            x=100 * values[shown],
            y=names,
            orientation="h",
            uid=trace_id("probabilities", name),
            name=label,
            marker={"color": colour, "line_width": 0},
            hovertemplate=f"<b>%{{x:.1f}} %</b> %{{y}}, {label}<extra></extra>",
            meta={"series": name},
        )
    figure.update_xaxes(range=[0, 102], tickvals=[0, 50, 100], showgrid=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", dtick=1)
    return figure
