"""TODO: what this module is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.shared.ui import formats

SIDE = 32  # pixels of what is shown, the side of the paper's images

FOLDERS = "own folders"  # names of those that were checked during this visit


@st.cache_resource(show_spinner="Reading the domains …")
def core() -> Any:
    """The core's domains, which need PyTorch: two seconds, once, and only when a page needs them."""
    from atesc_core import domains

    return domains


def usable() -> list[str]:
    """Names of the domains that a pair can be made of now."""
    here = [name for name, source in core().DOMAINS.items() if source.status != "downloadable"]
    return here + st.session_state.get(FOLDERS, [])


def size(name: str) -> str:
    return f"{formats.count(core().DOMAINS[name].megabytes)} MB"
