"""Widgets whose value the page sets and may change, while the browser may still send the old value."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

DELIVERED_S = 2.0  # seconds after which the browser surely shows the value that the page has set


def controlled_widget(
    key: str,
    value: object,
    on_change: Callable[[Any], object],
    *,
    initial: str = "default",
    options: Sequence[object] | None = None,
) -> dict[str, Any]:
    """Keyword arguments of a widget that shows ``value``: ``st.slider("n", 0, 9, **controlled_widget("n", 3, put))``.

    A page's timer may request a rerun before the browser has received a value that another control changed. The
    browser then sends the old value, as if the user had moved the widget back. Such a value is ignored.

    A value is sent to the browser only where it differs from what the browser shows: a page that a timer redraws
    while the user moves the widget must not move it back.

    Args:
        key: key of the widget.
        value: the value that the widget shall show now.
        on_change: called with the value that the user sets.
        initial: name of the widget's parameter for its first value (``default`` or ``value``). The value is passed
            there and in ``st.session_state``: if a run is interrupted, the browser receives only the former.
        options: the options of a select box; its parameter for the first value is ``index``.
    """
    state, replaced = st.session_state, f"{key}, replaced"  # at this key: the old value, and the time of the change
    if state.get(key, value) != value:  # otherwise leave it: the user may have moved the widget meanwhile
        state[replaced] = state[key], time.monotonic()
        state[key] = value

    def forward() -> None:
        new_value = state[key]
        if options is not None and new_value is not None and new_value not in options:
            state[key] = value  # the browser has sent the label that this option had before it was renamed
            return
        old_value, replaced_at = state.get(replaced, (None, -math.inf))
        if new_value == old_value and time.monotonic() - replaced_at < DELIVERED_S:
            return
        state.pop(replaced, None)
        on_change(new_value)

    first = {initial: value} if options is None else {"index": options.index(value) if value in options else None}
    return {"key": key, "on_change": forward} | first
