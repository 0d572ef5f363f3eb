"""The box that finds runs by their words, wherever many are listed (``?find=TEXT``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from atesc_core.runs import AnyRun

FEW = 8  # runs that are seen at a glance: no box is drawn for them


def find_runs(runs: Sequence[AnyRun], **layout: Any) -> list[AnyRun]:
    """Draw the box if there are many runs; return those that match what is in it, in their order.

    Args:
        runs: the runs to choose from.
        layout: passed to ``st.text_input``.
    """
    if len(runs) <= FEW:
        return list(runs)
    text = st.text_input(
        "Find",
        key="find",
        bind="query-params",
        max_chars=200,
        icon=":material/search:",
        placeholder="Name, tag, note …",
        help="Runs that have each of these words in their name, note, tags, teacher, id or group",
        **layout,
    )
    return [run for run in runs if run.matches(text)]
