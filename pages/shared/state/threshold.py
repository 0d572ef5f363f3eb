"""The line between fragile and robust, where the user drew it: the same on every page that shows the run.

It is in the link (?line=6.5, or ?line.margin=0.3 for another score than the run's own), and in this visit's memory,
for pages reached by the menu.
"""

from __future__ import annotations

import math

import streamlit as st

from atesc_core.runs import Run
from pages.shared.state import url


def drawn(run: Run, score: str | None = None) -> float | None:
    """Where it was put; None where nobody did. score: the run's own, unless named."""
    name, key = _names(run, score)
    kept = st.session_state.get(key)
    if st.query_params.get("run") == run.id:  # a page may show other runs beside the link's
        if kept is None:
            st.session_state[key] = kept = _read(st.query_params.get(name))
        _tell(name, kept)
    return kept


def draw(run: Run, value: float | None, score: str | None = None) -> None:
    """Put it there; None takes it back to where the run has it."""
    name, key = _names(run, score)
    st.session_state[key] = None if value is None else float(value)
    _tell(name, value)


def _tell(name: str, value: float | None) -> None:
    url.put(name, None if value is None else f"{value:.6g}")


def _names(run: Run, score: str | None) -> tuple[str, str]:
    own = score in (None, run.spec.split.score)
    return ("line", f"line {run.id}") if own else (f"line.{score}", f"line {run.id} {score}")


def _read(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
