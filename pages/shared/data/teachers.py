"""The cards of all teachers, by name, and the architectures that a teacher or a student can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.runs import default_runs_dir
from atesc_core.teachers import TeacherCard, list_teachers
from atesc_core.teachers.cards import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

    from atesc_core.models import Architecture


def cards() -> dict[str, TeacherCard]:
    """Cards by teacher name: first the shipped teachers, then the user's. The cache is at most ten seconds old.

    Raises:
        TeacherError: a card cannot be read.
    """
    return _cards(default_runs_dir())


def is_own(name: str) -> bool:
    """Whether the teacher was loaded or trained here, rather than shipped."""
    return not (SHIPPED / f"{name}.json").exists()


def forget_cards() -> None:
    """Clear the cache of `cards`, after a teacher was added or deleted."""
    _cards.clear()


def architectures(*, for_files: bool = False) -> list[str]:
    """Names of the architectures of new teachers and students; for a user's file, also those of others' files only."""
    return [name for name, entry in _architectures().items() if for_files or not entry.only_for_files]


def architecture(name: str) -> Architecture:
    """The architecture with this name: its description and properties."""
    return _architectures()[name]


@st.cache_data(ttl=10, max_entries=8, show_spinner="Reading the teachers …")
def _cards(runs_dir: Path) -> dict[str, TeacherCard]:
    return {card.name: card for card in list_teachers(runs_dir)}


@st.cache_resource(show_spinner="Reading the architectures …")
def _architectures() -> dict[str, Architecture]:
    from atesc_core.models import ARCHITECTURES  # PyTorch: two seconds, once

    return ARCHITECTURES
