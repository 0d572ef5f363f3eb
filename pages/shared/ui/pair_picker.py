"""TODO: what this module is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.shared.data.domains import core, size
from pages.shared.ui import elements

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from atesc_core.domains import Pair
import streamlit as st


def pick_pair(place: DeltaGenerator, help: str) -> str:
    """A box of the named pairs of which everything is here, the link's pair (?pair=...) first; or one typed by name.

    What is typed need not be a pair: whoever uses it says what is wrong with it.
    """
    here = [name for name, pair in core().PAIRS.items() if not pair.missing]
    wanted = st.query_params.get("pair")
    options = [wanted, *(name for name in here if name != wanted)] if wanted else here
    return place.selectbox("Pair", options, help=help, accept_new_options=True, required=True)


def others() -> None:
    """Which named pairs are not offered, and where to get them."""
    absent = [f"{name}: {lacking(pair)}" for name, pair in core().PAIRS.items() if pair.missing]
    if absent:
        elements.caption(f"Not offered until downloaded: {'; '.join(absent)}.")
    st.page_link("pages/domains/page.py", label="Get domains, or make a pair", icon=":material/photo_library:")


def lacking(pair: Pair) -> str:
    """`svhn (246 MB)`: what must be downloaded for it; empty where nothing."""
    return ", ".join(f"{name} ({size(name)})" for name in pair.missing)
