"""What a control holds is what the page's link says: a lesson link shows another browser the same."""

from __future__ import annotations

import math

import streamlit as st


def number(name: str, default: float, low: float, high: float) -> float:
    """The link's ``?name=``, within bounds; the default where it has none, or one that is no number."""
    try:
        value = float(st.query_params.get(name, default))
    except ValueError:
        value = default
    return min(max(value if math.isfinite(value) else default, low), high)


def put(name: str, value: object) -> None:
    """Into the link; None takes it out."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != str(value):
        st.query_params[name] = str(value)


def bound(name: str, value: object) -> dict[str, object]:
    """Key and callback of a widget that holds the link's value: ``st.slider("ε", 0.0, 8.0, **bound("eps", 4.0))``."""
    key = f"link {name}"
    if st.session_state.get(key) != value:  # set again, it would be taken from a hand that has moved on
        st.session_state[key] = value
    return {"key": key, "on_change": lambda: put(name, st.session_state[key])}
