"""Widgets whose value the page sets, and may change while the browser still sends the old one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

DELIVERED_S = 2.0  # by then a browser shows the value that a run has set


def controlled_widget(
    key: str, value: object, on_change: Callable[[Any], object], *, initial: str = "default"
) -> dict[str, Any]:
    """Keyword arguments of a widget that shows ``value``: ``st.slider("n", 0, 9, **controlled_widget("n", 3, put))``.

    A page's timer may ask for a rerun before the browser has received a value that another control changed. It then
    sends the old value, as if the user had moved the widget back. Such a value is ignored.

    Args:
        key: of the widget.
        value: what the widget holds now.
        on_change: called with the value that the user gives the widget.
        initial: the widget's parameter for its first value (``default``, ``value`` or ``index``). The value is given
            there as well as in ``st.session_state``: where a run is cut short, the browser receives only the former.
    """
    state, replaced = st.session_state, f"{key}, replaced"  # the value before the page changed it, and when that was
    if state.get(key, value) != value:  # else it stays as it is: the user may have moved on meanwhile
        state[replaced] = state[key], time.monotonic()
        state[key] = value

    def forward() -> None:
        now = state[key]
        before, at = state.get(replaced, (None, -math.inf))
        if now == before and time.monotonic() - at < DELIVERED_S:
            return
        state.pop(replaced, None)
        on_change(now)

    return {"key": key, "on_change": forward, initial: value}
