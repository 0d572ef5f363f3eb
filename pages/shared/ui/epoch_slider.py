"""The slider of the epoch whose synthetic images a page shows."""

from __future__ import annotations

from functools import partial
from typing import Literal

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.state import url
from pages.shared.state.controlled_widget import controlled_widget
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
    """Draw the slider, and return its epoch.

    The slider starts at the link's ``?epoch=``, or else at the selection's epoch, or else at the newest epoch. If it is
    at the newest epoch, it follows each new epoch, unless images of the shown epoch are selected.

    Args:
        run: the run.
        epochs: epochs that have images, ascending; at least one.
        key: at this key of ``st.session_state`` is the epoch; a callback may set another one.
        selected: the selection of the run, on pages that open at the selection's epoch.
        advance: go to the next epoch, while a page plays the epochs.
        label_visibility: label visibility of the widget.
    """
    state, newest, newest_key = st.session_state, epochs[-1], f"{key}, newest"
    initial = selected.epoch if selected else newest
    epoch: int = state.get(key, url.read_choice("epoch", epochs, initial))
    follows = epoch == state.get(newest_key) and not (selected and selected.epoch == epoch)
    if follows or epoch not in epochs:
        epoch = newest
    if advance and epoch != newest:
        epoch = epochs[epochs.index(epoch) + 1]
    state[key], state[newest_key] = epoch, newest
    url.set_parameter("epoch", None if epoch == initial else epoch)
    if len(epochs) == 1:
        elements.caption(f"Epoch {newest}")
        return newest
    st.select_slider(
        "Epoch",
        epochs,
        label_visibility=label_visibility,
        format_func=lambda epoch: f"epoch {epoch}" if label_visibility == "collapsed" else str(epoch),
        **controlled_widget(f"{key} slider", epoch, partial(state.__setitem__, key), initial="value"),
    )
    return epoch
