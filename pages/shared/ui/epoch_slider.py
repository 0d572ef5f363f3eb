"""The slider of the epoch whose synthetic images a page shows."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.state import url
from pages.shared.state.selection import Selection
from pages.shared.ui import elements


def epoch_slider(
    run: DistillationRun,
    epochs: list[int],
    key: str,
    *,
    selected: Selection | None = None,
    advance: bool = False,
    label_visibility: Literal["visible", "collapsed"] = "visible",
) -> int:
    """Draw the slider, and return the epoch that it is at.

    It begins at the link's ``?epoch=``, else at the selection's epoch, else at the newest one. It moves on to each new
    epoch, unless the user went back to an earlier one, or selected images of the one that is shown.

    Args:
        run: the run.
        epochs: those that have images, ascending; at least one.
        key: of the widget; a callback may set another epoch in ``st.session_state`` by it.
        selected: what is selected of the run, on pages whose epoch follows the selection.
        advance: go to the next epoch, as a page does that plays them.
        label_visibility: of the widget.
    """
    state, newest, known = st.session_state, epochs[-1], f"{key}, newest"
    initial = selected.epoch if selected else newest
    epoch = state.get(key, url.read_choice("epoch", epochs, initial))
    follows = epoch == state.get(known) and not (selected and selected.epoch == epoch)
    if follows or epoch not in epochs:
        epoch = newest
    if advance and epoch != newest:
        epoch = epochs[epochs.index(epoch) + 1]
    state[key], state[known] = epoch, newest
    url.set_parameter("epoch", None if epoch == initial else epoch)
    if len(epochs) == 1:
        elements.caption(f"Epoch {newest}")
        return newest
    return st.select_slider(
        "Epoch",
        epochs,
        key=key,
        label_visibility=label_visibility,
        format_func=lambda at: f"epoch {at}" if label_visibility == "collapsed" else str(at),
    )
