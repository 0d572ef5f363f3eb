"""What a control holds is what the page's link says: a lesson link shows another browser the same.

Widgets are `bound`: the link holds their value. (Streamlit's own `bind` holds the words that stand for it on the page;
it serves where those stay.) What several pages share of a run is in the link and in this visit's memory: the selection
(selection.py) and the line (line.py). A form's settings are one token: `Form`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from atesc_core.errors import SpecError
from atesc_core.specs.base import Spec
from pages.shared.ui import elements

T = TypeVar("T")
S = TypeVar("S", bound=Spec)
HEARD_S = 2.0  # by then a browser shows what a run has set
RUN_PARAMETERS = {
    "picked",
    "image",
    "budget",
    "epoch",
    "score",
    "try",
}  # and line, line.SCORE: what goes when the run goes


def read_number(name: str, default: float, low: float, high: float) -> float:
    """The link's ``?name=``, within bounds; the default where it has none, or one that is no number."""
    try:
        value = float(st.query_params.get(name, default))
    except ValueError:
        value = default
    return min(max(value if math.isfinite(value) else default, low), high)


def read_choice(name: str, options: Iterable[T], default: T) -> T:
    """The option that the link's ``?name=`` names; the default where it names none."""
    wanted = st.query_params.get(name)
    return next((option for option in options if str(option) == wanted), default)


def bind_choice(name: str, options: Iterable[object], *, key: str = "") -> dict[str, object]:
    """`bound`, of a widget whose first option is the usual one."""
    options = list(options)
    return bind_widget(name, read_choice(name, options, options[0]), key=key or name, usual=options[0])


def set_parameter(name: str, value: object) -> None:
    """Into the link; None takes it out."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != str(value):
        st.query_params[name] = str(value)


def bind_widget(
    name: str, value: object, *, key: str = "", usual: object = None, first: str = "default"
) -> dict[str, object]:
    """What a widget that holds the link's value is given: ``st.segmented_control("Map", MAPS, **bound("map", "PCA"))``.

    usual: what the widget holds where the link says nothing, and so need not be said. first: what the widget calls the
    value that it starts with. It is not set instead: a browser that never hears of a run that was cut short would not
    hear of the value either, and say that the widget holds another.
    """
    key = key or f"link {name}"
    left = f"left {key}"  # what it was moved from by something else, and when
    if st.session_state.get(key, value) != value:  # set again, it would be taken from a hand that has moved on
        st.session_state[left] = st.session_state[key], time.monotonic()
        st.session_state[key] = value

    def tell() -> None:
        now = st.session_state[key]
        before, at = st.session_state.get(left, (None, -math.inf))
        if now == before and time.monotonic() - at < HEARD_S:
            return  # a timer of the page asked for a run before the browser had heard of the move
        st.session_state.pop(left, None)
        set_parameter(name, None if now == usual else now)

    return {"key": key, "on_change": tell, first: value}


def clear_run_parameters() -> None:
    """Take out what is of the run that was shown."""
    for name in list(st.query_params):
        if name in RUN_PARAMETERS or name.partition(".")[0] == "line":
            set_parameter(name, None)


def run_parameters() -> dict[str, str]:
    """The run and what is selected of it, for a way to another page about it; a projector goes on projecting."""
    return {name: value for name, value in st.query_params.items() if name in ("run", "picked", "image", "projector")}


@dataclass(frozen=True)
class Form:
    """A form whose settings are in the link (``?spec=TOKEN``): a reload or another browser finds them filled in.

    The token that somebody else put there is what the form starts from; the form's own word on what it holds now
    is not.
    """

    name: str  # in the link
    key: str  # in this visit's memory

    def brought(self) -> str | None:
        """The token to start from, or None."""
        token, kept = st.query_params.get(self.name), st.session_state.get(self.key)
        if kept is None or token not in kept["known"]:
            st.session_state[self.key] = kept = {"base": token, "known": {token}}
        return kept["base"]

    def forget(self) -> None:
        """The form has gone from the page: the next token is somebody else's, whichever it is."""
        st.session_state.pop(self.key, None)

    def read(self, kind: type[S], instead: str) -> S | None:
        """The settings to start from. Where the token is none the page says so, and what it shows ``instead``."""
        token = self.brought()
        try:
            return kind.from_token(token) if token is not None else None
        except SpecError as error:
            elements.problem("This link's settings cannot be read.", str(error), instead)
            return None

    def tell(self, token: str) -> None:
        """What the form holds now. Nothing is said until that is another than at first."""
        kept = st.session_state[self.key]
        told = kept["base"] if token == kept.setdefault("first", token) else token
        kept["known"].add(told)  # for good: a browser may ask for the next run before it has heard of this one's link
        set_parameter(self.name, told)
