"""The parameters of a page's link: the value of each control, so that another browser shows the same page.

``bind_widget`` binds a widget to a parameter. (Streamlit's ``bind="query-params"`` stores the label of an option; it is
used where labels never change.) The selection (selection.py) and the threshold (threshold.py) of a run are in the link
and in the session state, because several pages share them. All settings of a form are one token: ``Form``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from atesc_core.errors import SpecError
from atesc_core.specs.base import Spec
from pages.shared.state.controlled_widget import controlled_widget
from pages.shared.ui import elements

T = TypeVar("T")
S = TypeVar("S", bound=Spec)
WRITTEN = "written parameters"  # key in the session state: parameter -> last written text, None if removed
RUN_PARAMETERS = {"picked", "image", "budget", "epoch", "score", "try"}  # and threshold, threshold.SCORE


def read_number(name: str, default: float, low: float, high: float) -> float:
    """The number in ``?name=``, clipped to [low, high]; ``default`` if the parameter is missing or not a number."""
    try:
        value = float(st.query_params.get(name, default))
    except ValueError:
        value = default
    return min(max(value if math.isfinite(value) else default, low), high)


def read_choice(name: str, options: Iterable[T], default: T) -> T:
    """The option whose text is in ``?name=``; ``default`` if there is no such option."""
    text = st.query_params.get(name)
    return next((option for option in options if str(option) == text), default)


def set_parameter(name: str, value: object) -> None:
    """Write a parameter into the link; None removes it."""
    text = None if value is None else str(value)
    st.session_state.setdefault(WRITTEN, {})[name] = text
    _write(name, text)


def restore_parameters() -> None:
    """Restore the parameters that the session has written. Call it first in a fragment that a timer reruns.

    The browser sends its link with every rerun. A timer may request a rerun before the browser has received the new
    link; the old link would bring back, say, a selection that was just cleared. If the whole page runs, the user may
    have opened another link, so then the link counts.
    """
    written = st.session_state.setdefault(WRITTEN, {})
    for name, text in list(written.items()):
        if is_fragment_run():
            _write(name, text)
        elif st.query_params.get(name) != text:
            del written[name]


def is_fragment_run() -> bool:
    """Whether only a fragment runs, not the whole page."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def _write(name: str, text: str | None) -> None:
    if text is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def bind_widget(
    name: str,
    value: object,
    *,
    key: str = "",
    default: object = None,
    initial: str = "default",
    options: Sequence[object] | None = None,
) -> dict[str, Any]:
    """Keyword arguments of a widget whose value is in the link: ``st.slider("Epoch", 1, 9, **bind_widget(...))``.

    Args:
        name: name of the parameter.
        value: the value in the link now.
        key: key of the widget; by default ``link NAME``.
        default: for this value the parameter is left out of the link.
        initial: name of the widget's parameter for its first value (``default`` or ``value``).
        options: the options of a select box.
    """
    return controlled_widget(
        key or f"link {name}",
        value,
        lambda chosen: set_parameter(name, None if chosen == default else chosen),
        initial=initial,
        options=options,
    )


def bind_choice(name: str, options: Iterable[object], *, key: str = "") -> dict[str, Any]:
    """``bind_widget`` for a choice among ``options``; the first one is the default. ``key``: by default ``name``."""
    options = list(options)
    return bind_widget(name, read_choice(name, options, options[0]), key=key or name, default=options[0])


def clear_run_parameters() -> None:
    """Remove the parameters that belong to the run shown so far."""
    for name in list(st.query_params):
        if name in RUN_PARAMETERS or name.partition(".")[0] == "threshold":
            set_parameter(name, None)


def run_parameters() -> dict[str, str]:
    """The parameters of the run and its selection, for a link to another page; and whether the page is presented."""
    return {name: value for name, value in st.query_params.items() if name in ("run", "picked", "image", "projector")}


@dataclass(frozen=True)
class Form:
    """A form whose settings are in the link (``?spec=TOKEN``): a reload or another browser finds them filled in.

    The form starts from the token of a link that the user opened. The form remembers the tokens that it has written
    itself, and does not start again from them.
    """

    name: str  # name of the parameter
    key: str  # key in the session state

    def initial_token(self) -> str | None:
        """The token that the form starts from; None if the link had none."""
        token, memory = st.query_params.get(self.name), st.session_state.get(self.key)
        if memory is None or token not in memory["known"]:
            st.session_state[self.key] = memory = {"base": token, "known": {token}}
        base: str | None = memory["base"]
        return base

    def reset(self) -> None:
        """Forget the written tokens, when the page shows no form: the form then starts from the next token."""
        st.session_state.pop(self.key, None)

    def read(self, kind: type[S], fallback: str) -> S | None:
        """The settings to start from; None without a token, or if it cannot be read.

        Args:
            kind: the class of the settings.
            fallback: sentence on what the form shows instead, added to the error if the token cannot be read.
        """
        token = self.initial_token()
        try:
            return kind.from_token(token) if token is not None else None
        except SpecError as error:
            elements.problem("This link's settings cannot be read.", f"{error}.", fallback)
            return None

    def write(self, token: str) -> None:
        """Write the form's settings into the link, as soon as they differ from its first settings."""
        memory = st.session_state[self.key]
        written = memory["base"] if token == memory.setdefault("first", token) else token
        memory["known"].add(written)  # forever: the browser may request the next run before it receives this link
        set_parameter(self.name, written)
