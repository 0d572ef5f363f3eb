"""The cards of all teachers, by name, and the architectures that a teacher or a student can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.runs import default_runs_dir
from atesc_core.teachers import TeacherCard, list_teachers

if TYPE_CHECKING:
    from pathlib import Path

    from atesc_core.models import Architecture


def cards() -> dict[str, TeacherCard]:
    """The shipped teachers, then the user's own, by name; at most ten seconds old.

    Raises:
        TeacherError: a card cannot be read.
    """
    return _cards(default_runs_dir())


def forget_cards() -> None:
    """Make `cards` read anew, after a teacher was added."""
    _cards.clear()


def architectures() -> list[str]:
    """Names of what a teacher or a student can be."""
    return list(_architectures())


def architecture(name: str) -> Architecture:
    """What the architecture ``name`` is, in words, and what it was made for."""
    return _architectures()[name]


@st.cache_data(ttl=10, max_entries=8, show_spinner="Reading the teachers …")
def _cards(runs_dir: Path) -> dict[str, TeacherCard]:
    return {card.name: card for card in list_teachers(runs_dir)}


@st.cache_resource(show_spinner="Reading the architectures …")
def _architectures() -> dict[str, Architecture]:
    from atesc_core.models import ARCHITECTURES  # PyTorch: two seconds, once

    return ARCHITECTURES
