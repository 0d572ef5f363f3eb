"""Two runs that part at a checkpoint and differ in their threshold alone."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures.accuracy import Curve, accuracy
from atesc_core.figures.theme import Mode
from atesc_core.vocabulary import METRIC_BETTER


def paired(
    past: pd.DataFrame,
    old: pd.DataFrame,
    new: pd.DataFrame,
    thresholds: tuple[float, float],
    parted: int,
    mode: Mode = "light",
    epochs: int | None = None,
    escape: str = "atesc",
) -> go.Figure:
    """Student accuracy with an old and a new threshold, by epoch.

    ``past``, ``old``, ``new``: columns ``epoch`` and the metrics in per cent; the past is what both have in common,
    faint, and each goes on from its last epoch. ``thresholds``: old, new. ``parted``: the epoch after which they are
    split differently. ``epochs``: of the whole axis. IAcc is in the ID colour and OAcc, OLAcc, ASR in the OOD colour;
    old is thin with open dots, new full.
    """
    joint = past.tail(1) if len(past) else None
    ways = [
        rows if joint is None or not len(rows) else pd.concat([joint, rows], ignore_index=True) for rows in (old, new)
    ]
    change = pd.DataFrame({"epoch": [float(parted)], "threshold": [thresholds[1]]})
    before = [Curve(past, "before they part", escape=escape, ghost=True, uid="past")] if len(past) else []
    figure = accuracy(
        [
            *before,
            Curve(ways[0], f"old threshold {thresholds[0]:.3g}", escape=escape, thin=True, uid="old"),
            Curve(ways[1], f"new threshold {thresholds[1]:.3g}", escape=escape, changes=change, uid="new"),
        ],
        mode,
        epochs,
    )
    figure.layout.meta["figure"] = "paired"
    if not len(old) and not len(new):
        figure.layout.annotations = ()
    return figure


def signed_points(points: float) -> str:
    """A difference in points, one decimal, with its sign: ``+1.2``, ``−0.4``, ``±0.0``."""
    rounded = round(points, 1)
    return "±0.0" if not rounded else f"{rounded:+.1f}".replace("-", "−")


def verdict(metric: str, points: float) -> str:
    """``better``, ``worse`` or ``the same``: a difference of a metric, as it is read to one decimal."""
    rounded = round(points, 1)
    if not rounded:
        return "the same"
    return "better" if (rounded > 0) == (METRIC_BETTER[metric] == "↑") else "worse"
