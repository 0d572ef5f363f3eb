"""Two runs from one checkpoint that differ only in the threshold."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures.accuracy import Curve, accuracy
from atesc_core.figures.theme import Mode, format_threshold
from atesc_core.specs.run import EscapeKind
from atesc_core.vocabulary import METRIC_BETTER


def paired(
    past: pd.DataFrame,
    old: pd.DataFrame,
    new: pd.DataFrame,
    thresholds: tuple[float, float],
    parted: int,
    mode: Mode = "light",
    epochs: int | None = None,
    escape: EscapeKind = "atesc",
) -> go.Figure:
    """Student accuracy with an old and a new threshold, by epoch.

    IAcc is in the ID colour and OAcc, OLAcc, ASR in the OOD colour; old is thin with open dots, new full.

    Args:
        past: The shared epochs, drawn faint: columns ``epoch`` and the metrics in per cent.
        old: The later epochs with the old threshold, in the same columns.
        new: The later epochs with the new threshold.
        thresholds: The old and the new threshold.
        parted: The last shared epoch.
        mode: light, dark or print.
        epochs: The end of the x axis.
        escape: Kind of the escape of both runs.
    """
    last_shared = past.tail(1)
    branches = [
        pd.concat([last_shared, rows], ignore_index=True) if len(past) and len(rows) else rows for rows in (old, new)
    ]
    change = pd.DataFrame({"epoch": [float(parted)], "threshold": [thresholds[1]]})
    shared = [Curve(past, "before they part", escape=escape, ghost=True, curve_id="past")] if len(past) else []
    figure = accuracy(
        [
            *shared,
            Curve(branches[0], f"old {format_threshold(thresholds[0])}", escape=escape, thin=True, curve_id="old"),
            Curve(branches[1], f"new {format_threshold(thresholds[1])}", escape=escape, changes=change, curve_id="new"),
        ],
        mode,
        epochs,
    )
    figure.layout.meta["figure"] = "paired"
    if not len(old) and not len(new):
        figure.layout.annotations = ()
    return figure


def signed_points(points: float) -> str:
    """A difference in percentage points, one decimal, with its sign: ``+1.2``, ``−0.4``, ``±0.0``."""
    rounded = round(points, 1)
    return "±0.0" if not rounded else f"{rounded:+.1f}".replace("-", "−")


def verdict(metric: str, points: float) -> str:
    """``better``, ``worse`` or ``the same``: the meaning of a difference of a metric, rounded to one decimal."""
    rounded = round(points, 1)
    if not rounded:
        return "the same"
    return "better" if (rounded > 0) == (METRIC_BETTER[metric] == "↑") else "worse"
