"""The threshold between fragile and robust that the user chose. Every page that shows the run uses it.

The threshold is in the link (``?threshold=6.5``; ``?threshold.margin=0.3`` for a score that does not split the run) and
in the session state, for pages that are opened from the menu.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from atesc_core.robustness.thresholds import SUGGESTIONS, suggest
from atesc_core.runs import DistillationRun, Snapshot
from pages.shared.state import url

PARAMETER = "threshold"
# Initial thresholds of the scores that define one: TA-DFKD's rule, and the oracle's decision boundary.
INITIAL = {"gmm": 0.5, "oracle": 0.0}


def chosen_threshold(run: DistillationRun, score: str | None = None) -> float | None:
    """The threshold that the user chose; None without a choice. ``score``: by default the score that splits the run."""
    parameter, key = _names(run, score)
    chosen = st.session_state.get(key)
    if st.query_params.get("run") == run.id:  # a page may also show runs that are not in the link
        if chosen is None:
            st.session_state[key] = chosen = _parse(st.query_params.get(parameter))
        _write(parameter, chosen)
    return chosen


def choose_threshold(run: DistillationRun, value: float | None, score: str | None = None) -> None:
    """Store the user's threshold; None removes it, so that the run's threshold counts again."""
    parameter, key = _names(run, score)
    st.session_state[key] = None if value is None else float(value)
    _write(parameter, value)


def threshold_in_view(
    run: DistillationRun, snapshot: Snapshot, score: str | None = None, values: np.ndarray | None = None
) -> float:
    """The threshold by which a page splits a snapshot's images.

    This is the threshold that the user chose. Without a choice it is the run's threshold at the time of the snapshot.
    ∞: one group, every image is fragile.
    For a score that does not split the run, it is the score's threshold in ``INITIAL``, or else Otsu's threshold of
    ``values``.

    Args:
        run: the run of the snapshot.
        snapshot: images of one epoch.
        score: by default the score that splits the run.
        values: (N,) the images' scores; required if ``score`` does not split the run.
    """
    chosen = chosen_threshold(run, score)
    if chosen is not None:
        return chosen
    if values is None or score in (None, run.spec.split.score):
        return snapshot.threshold
    return INITIAL.get(score, suggestions(run.id, snapshot.epoch, score, values).get("otsu", 0.0))


@st.cache_data(max_entries=128, show_spinner=False)
def suggestions(run_id: str, epoch: int, score: str, values: np.ndarray, share: float = 0.5) -> dict[str, float]:
    """The threshold that each rule suggests from the synthetic images' scores; empty if no score is finite.

    Args:
        run_id: part of the cache key, with ``epoch`` and ``score``.
        epoch: epoch of the images.
        score: name of the score.
        values: (N,) the images' scores.
        share: share of fragile images in the rule ``share``, 0..1.
    """
    if not np.isfinite(values).any():
        return {}
    return {rule: suggest(rule, values, share) for rule in SUGGESTIONS}


def _names(run: DistillationRun, score: str | None) -> tuple[str, str]:
    """Name of the link's parameter, and the key in the session state."""
    if score in (None, run.spec.split.score):
        return PARAMETER, f"threshold {run.id}"
    return f"{PARAMETER}.{score}", f"threshold {run.id} {score}"


def _write(parameter: str, value: float | None) -> None:
    url.set_parameter(parameter, None if value is None else f"{value:.6g}")


def _parse(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(value) or value == -math.inf else value
