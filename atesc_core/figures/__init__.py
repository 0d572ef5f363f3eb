"""Figures: one pure function each, data frame -> plotly Figure, in the house's visual language.

Each takes ``mode`` (light, dark or print); the first line of its docstring is the figure's title.
"""

from collections.abc import Callable

import plotly.graph_objects as go

from atesc_core.figures.accuracy import Curve, accuracy
from atesc_core.figures.scores import scores

FIGURES: dict[str, Callable[..., go.Figure]] = {
    "accuracy": accuracy,
    "scores": scores,
}

__all__ = ["FIGURES", "Curve", "accuracy", "scores"]
