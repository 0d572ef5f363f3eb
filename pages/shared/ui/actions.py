"""Buttons that start or change something in the lab. Visitors who may only look see them disabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.state.visitor import may_change

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

VIEWERS_LOOK = "You may look at this lab. Its owners may start and change things"


def action_button(
    label: str,
    *,
    place: DeltaGenerator | None = None,
    on_click: Callable[..., object] | None = None,
    args: Sequence[object] = (),
    disabled: bool = False,
    help: str | None = None,  # noqa: A002 - as st.button names it
    **options: Any,
) -> bool:
    """Draw a button as ``st.button`` does; returns whether it was pressed by somebody who may.

    A browser can send a press of a disabled button. For those who may only look, a press has no effect at all.

    Args:
        label: its text.
        place: where to draw it; on the page if None.
        on_click: what a press does before the page runs again.
        args: arguments of ``on_click``.
        disabled: whether it is disabled for everybody.
        help: its tooltip.
        options: others of ``st.button``.
    """
    allowed = may_change()

    def act() -> None:
        if on_click and may_change():  # asked again: the role may have changed since the button was drawn
            on_click(*args)

    effect: Mapping[str, Any] = {"on_click": act} if allowed and on_click else {}
    pressed = (place or st).button(
        label, disabled=disabled or not allowed, help=help if allowed else VIEWERS_LOOK, **effect, **options
    )
    return pressed and allowed and not disabled
