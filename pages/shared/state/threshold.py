"""The threshold between fragile and robust that the user chose: the same on every page that shows the run.

It is in the link (``?threshold=6.5``; ``?threshold.margin=0.3`` for a score that does not split the run) and in this
visit's memory, for pages that are reached by the menu.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from atesc_core.robustness.detection import SUGGESTIONS, suggest
from atesc_core.runs import DistillationRun, Snapshot
from pages.shared.state import url

PARAMETER = "threshold"
# The first threshold of a score that has one by definition: TA-DFKD's rule, and the oracle's decision boundary.
INITIAL = {"gmm": 0.5, "oracle": 0.0}


def chosen_threshold(run: DistillationRun, score: str | None = None) -> float | None:
    """The threshold that the user chose; None where nobody chose one. ``score``: the run's own unless given."""
    parameter, key = _names(run, score)
    chosen = st.session_state.get(key)
    if st.query_params.get("run") == run.id:  # a page may show other runs beside the link's
        if chosen is None:
            st.session_state[key] = chosen = _parse(st.query_params.get(parameter))
        _write(parameter, chosen)
    return chosen


def choose_threshold(run: DistillationRun, value: float | None, score: str | None = None) -> None:
    """Remember the user's threshold; None goes back to the run's own."""
    parameter, key = _names(run, score)
    st.session_state[key] = None if value is None else float(value)
    _write(parameter, value)


def threshold_in_view(
    run: DistillationRun, snapshot: Snapshot, score: str | None = None, values: np.ndarray | None = None
) -> float:
    """The threshold by which a page splits a snapshot's images.

    It is the one that the user chose. Without a choice it is the one that was in force when the snapshot was taken;
    for a score that does not split the run, the score's ``INITIAL`` one, or else Otsu's threshold of ``values``.

    Args:
        run: the run of the snapshot.
        snapshot: images of one epoch.
        score: the run's own unless given.
        values: (N,) the images' scores; needed for another score than the run's own.
    """
    chosen = chosen_threshold(run, score)
    if chosen is not None:
        return chosen
    if values is None or score in (None, run.spec.split.score):
        return snapshot.threshold
    return INITIAL.get(score, suggestions(run.id, snapshot.epoch, score, values).get("otsu", 0.0))


@st.cache_data(max_entries=128, show_spinner=False)
def suggestions(run_id: str, epoch: int, score: str, values: np.ndarray, share: float = 0.5) -> dict[str, float]:
    """Rule -> the threshold that it finds in the synthetic images' scores alone; empty where no score is finite.

    Args:
        run_id: with ``epoch`` and ``score``, what the cache knows the values by.
        epoch: of the images.
        score: by which the images are split.
        values: (N,) the images' scores.
        share: of the images that the rule ``share`` makes fragile, 0..1.
    """
    if not np.isfinite(values).any():
        return {}
    return {rule: suggest(rule, values, share) for rule in SUGGESTIONS}


def _names(run: DistillationRun, score: str | None) -> tuple[str, str]:
    """The link's parameter, and the key in this visit's memory."""
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
    return value if math.isfinite(value) else None
