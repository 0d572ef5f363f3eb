"""The line between fragile and robust, where the user drew it: the same on every page that shows the run.

It is in the link (?line=6.5, or ?line.margin=0.3 for another score than the run's own), and in this visit's memory,
for pages reached by the menu.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from atesc_core.robustness.detection import SUGGESTIONS, suggest
from atesc_core.runs import DistillationRun, Snapshot
from pages.shared.state import url


def chosen_threshold(run: DistillationRun, score: str | None = None) -> float | None:
    """Where it was put; None where nobody did. score: the run's own, unless named."""
    name, key = _names(run, score)
    kept = st.session_state.get(key)
    if st.query_params.get("run") == run.id:  # a page may show other runs beside the link's
        if kept is None:
            st.session_state[key] = kept = _read(st.query_params.get(name))
        _tell(name, kept)
    return kept


def choose_threshold(run: DistillationRun, value: float | None, score: str | None = None) -> None:
    """Put it there; None takes it back to where the run has it."""
    name, key = _names(run, score)
    st.session_state[key] = None if value is None else float(value)
    _tell(name, value)


def _tell(name: str, value: float | None) -> None:
    url.set_parameter(name, None if value is None else f"{value:.6g}")


def _names(run: DistillationRun, score: str | None) -> tuple[str, str]:
    own = score in (None, run.spec.split.score)
    return ("line", f"line {run.id}") if own else (f"line.{score}", f"line {run.id} {score}")


def _read(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def threshold_in_view(run: DistillationRun, shown: Snapshot) -> float:
    """Where the line between the groups is drawn: where the user put it, or where the run has it."""
    chosen = chosen_threshold(run)
    return shown.threshold if chosen is None else chosen


STARTS = {"gmm": 0.5, "oracle": 0.0}  # where the line of a score lies at first: TA-DFKD's, the oracle's own


def threshold_for_score(run: DistillationRun, shown: Snapshot, score: str, values: np.ndarray) -> float:
    """Where the user put the line; else where the run has it; else, for another score, where it starts: Otsu's,
    unless it has a line of its own. values: (N,) the images' scores."""
    kept = chosen_threshold(run, score)
    if kept is not None:
        return kept
    if score == run.spec.split.score:
        return shown.threshold
    return STARTS.get(score, suggestions(run.id, shown.epoch, score, values).get("otsu", 0.0))


@st.cache_data(max_entries=128, show_spinner=False)
def suggestions(run_id: str, epoch: int, score: str, values: np.ndarray, share: float = 0.5) -> dict[str, float]:
    """Name -> threshold, from the synthetic images alone. share: of them fragile, by the rule of that name."""
    if not np.isfinite(values).any():
        return {}
    return {name: suggest(name, values, share) for name in SUGGESTIONS}
