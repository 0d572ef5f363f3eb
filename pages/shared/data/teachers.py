"""The cards of all teachers, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.runs import default_runs_dir

if TYPE_CHECKING:
    from atesc_core.models import Architecture
    from atesc_core.teachers import TeacherCard


def cards() -> dict[str, TeacherCard]:
    """The shipped teachers, then the user's own. Raises TeacherError where a card cannot be read.

    Read anew every few seconds; `forget_cards` after adding one.
    """
    return _cards(str(default_runs_dir()))


def forget_cards() -> None:
    _cards.clear()


def architectures() -> list[str]:
    """Names of what a teacher or a student can be."""
    return list(_architectures())


def architecture(name: str) -> Architecture:
    """What it is, in words, and what it was made for."""
    return _architectures()[name]


def _architectures() -> dict[str, Architecture]:
    _teachers()
    from atesc_core.models import ARCHITECTURES

    return ARCHITECTURES


@st.cache_data(ttl=10, max_entries=8, show_spinner=False)
def _cards(runs_dir: str) -> dict[str, TeacherCard]:
    return {card.name: card for card in _teachers().list_teachers(runs_dir)}


@st.cache_resource(show_spinner="Reading the teachers …")
def _teachers():
    """The core's teachers, which need PyTorch: two seconds, once, and only when a page needs a card."""
    from atesc_core import teachers

    return teachers
