"""A box to pick a pair from, and what must be downloaded for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.domains import PAIRS, Pair
from pages.shared.data.domains import download_size
from pages.shared.ui import elements

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def pick_pair(container: DeltaGenerator, help_text: str) -> str:
    """The name of a pair: one whose images are all here, the link's (``?pair=``) first, or any that is typed.

    What is typed need not be the name of a pair: the caller checks it.
    """
    present = [name for name, pair in PAIRS.items() if not pair.missing]
    linked = st.query_params.get("pair")
    options = [linked, *(name for name in present if name != linked)] if linked else present
    return container.selectbox("Pair", options, help=help_text, accept_new_options=True, required=True)


def unavailable_pairs() -> None:
    """Name the pairs that `pick_pair` does not offer, and link to where their images are downloaded."""
    missing = [f"{name}: {missing_downloads(pair)}" for name, pair in PAIRS.items() if pair.missing]
    if missing:
        elements.caption(f"Not offered until downloaded: {'; '.join(missing)}.")
    st.page_link("pages/domains/page.py", label="Get domains, or make a pair", icon=":material/photo_library:")


def missing_downloads(pair: Pair) -> str:
    """What must be downloaded for a pair, such as ``svhn (246 MB)``; empty where nothing."""
    return ", ".join(f"{name} ({download_size(name)})" for name in pair.missing)
