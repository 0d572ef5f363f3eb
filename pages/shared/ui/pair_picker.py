"""A select box for a pair, and the downloads that other pairs need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.domains import PAIRS, Pair
from pages.shared.data.domains import download_size
from pages.shared.ui import elements

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def pick_pair(container: DeltaGenerator, help_text: str, likely: str | None = None) -> str:
    """Draw a select box for a pair; return the chosen or typed text.

    It offers the link's pair (``?pair=``) first, or else ``likely``, if that is one of them; then the pairs whose
    images are on this machine. A typed text may not be a valid pair: the caller must check it.
    """
    present = [name for name, pair in PAIRS.items() if not pair.missing]
    first = st.query_params.get("pair") or (likely if likely in present else None)
    options = [first, *(name for name in present if name != first)] if first else present
    key = f"pair, at first {first}"  # the choice stays when a download adds an option
    return container.selectbox("Pair", options, help=help_text, accept_new_options=True, required=True, key=key)


def unavailable_pairs() -> None:
    """Draw the pairs that need a download, and a link to the page Domains."""
    missing = [f"{name}: {missing_downloads(pair)}" for name, pair in PAIRS.items() if pair.missing]
    if missing:
        elements.caption(f"Not offered until downloaded: {'; '.join(missing)}.")
    st.page_link("domains/page.py", label="Get domains, or make a pair", icon=":material/photo_library:")


def missing_downloads(pair: Pair) -> str:
    """The downloads that a pair needs, as text: ``svhn (246 MB)``; empty if it needs none."""
    return ", ".join(f"{name} ({download_size(name)})" for name in pair.missing)
