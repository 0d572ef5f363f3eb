"""What the link of a page holds: the value of each control, so that a lesson link shows another browser the same.

Widgets are bound to a parameter by ``bind_widget``. (Streamlit's own ``bind`` stores the label of an option; it serves
where labels stay.) What several pages share of a run is in the link and in this visit's memory: the selection
(selection.py) and the threshold (threshold.py). All settings of a form are one token: ``Form``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
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
WRITTEN = "written parameters"  # in this visit's memory: parameter -> what was last written, None for removed
RUN_PARAMETERS = {"picked", "image", "budget", "epoch", "score", "try"}  # and threshold, threshold.SCORE


def read_number(name: str, default: float, low: float, high: float) -> float:
    """The number in ``?name=``, clipped to [low, high]; ``default`` where there is none or it is no number."""
    try:
        value = float(st.query_params.get(name, default))
    except ValueError:
        value = default
    return min(max(value if math.isfinite(value) else default, low), high)


def read_choice(name: str, options: Iterable[T], default: T) -> T:
    """The option that ``?name=`` names; ``default`` where it names none."""
    text = st.query_params.get(name)
    return next((option for option in options if str(option) == text), default)


def set_parameter(name: str, value: object) -> None:
    """Write a parameter into the link; None removes it."""
    text = None if value is None else str(value)
    st.session_state.setdefault(WRITTEN, {})[name] = text
    _write(name, text)


def restore_parameters() -> None:
    """Restore what this visit has written into the link. To be called first in a fragment that reruns by itself.

    The browser sends its link with every rerun that it requests, and a timer may request one before the browser has
    received a new link: the old one would bring back a selection that was just cleared. Only a run of the whole page
    can come with a link that the user has opened, so there the link counts.
    """
    written = st.session_state.setdefault(WRITTEN, {})
    for name, text in list(written.items()):
        if is_fragment_run():
            _write(name, text)
        elif st.query_params.get(name) != text:
            del written[name]


def is_fragment_run() -> bool:
    """Whether a fragment runs by itself, not the whole page."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def _write(name: str, text: str | None) -> None:
    if text is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def bind_widget(
    name: str, value: object, *, key: str = "", usual: object = None, initial: str = "default"
) -> dict[str, Any]:
    """Keyword arguments of a widget whose value is in the link: ``st.segmented_control("Map", MAPS, **bind_widget(...))``.

    Args:
        name: the parameter.
        value: what the link says now.
        key: of the widget; ``link NAME`` unless given.
        usual: the value that the link does not mention.
        initial: the widget's parameter for its first value (``default``, ``value`` or ``index``).
    """
    return controlled_widget(
        key or f"link {name}",
        value,
        lambda chosen: set_parameter(name, None if chosen == usual else chosen),
        initial=initial,
    )


def bind_choice(name: str, options: Iterable[object], *, key: str = "") -> dict[str, Any]:
    """``bind_widget`` for a choice among ``options``, whose usual one is the first. ``key``: ``name`` unless given."""
    options = list(options)
    return bind_widget(name, read_choice(name, options, options[0]), key=key or name, usual=options[0])


def clear_run_parameters() -> None:
    """Remove what belongs to the run that was shown."""
    for name in list(st.query_params):
        if name in RUN_PARAMETERS or name.partition(".")[0] == "threshold":
            set_parameter(name, None)


def run_parameters() -> dict[str, str]:
    """The run and its selection, for a link to another page about them; a projector's page links to such a page."""
    return {name: value for name, value in st.query_params.items() if name in ("run", "picked", "image", "projector")}


@dataclass(frozen=True)
class Form:
    """A form whose settings are in the link (``?spec=TOKEN``): a reload or another browser finds them filled in.

    The form starts from a token that came with the link. Tokens that the form itself has written are known, and do not
    fill it in again.
    """

    name: str  # the parameter
    key: str  # in this visit's memory

    def initial_token(self) -> str | None:
        """The token that the form starts from; None where the link had none."""
        token, memory = st.query_params.get(self.name), st.session_state.get(self.key)
        if memory is None or token not in memory["known"]:
            st.session_state[self.key] = memory = {"base": token, "known": {token}}
        base: str | None = memory["base"]
        return base

    def reset(self) -> None:
        """Forget what was written: the page shows no form now, and whatever token comes next fills it in."""
        st.session_state.pop(self.key, None)

    def read(self, kind: type[S], fallback: str) -> S | None:
        """The settings to start from, or None.

        Args:
            kind: the class of the settings.
            fallback: what the form shows instead, said after an error where the token cannot be read.
        """
        token = self.initial_token()
        try:
            return kind.from_token(token) if token is not None else None
        except SpecError as error:
            elements.problem("This link's settings cannot be read.", str(error), fallback)
            return None

    def write(self, token: str) -> None:
        """Write what the form holds into the link, once that differs from what it held first."""
        memory = st.session_state[self.key]
        written = memory["base"] if token == memory.setdefault("first", token) else token
        memory["known"].add(written)  # for good: a browser may ask for the next run before it has received this link
        set_parameter(self.name, written)
