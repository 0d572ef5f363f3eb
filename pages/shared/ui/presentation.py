"""The page for others: its link to copy, and the page alone, for a projector.

Both are the same on every page, because a page's whole state is in its address (link.py): the link that is copied is
the address, and ``?projector=1`` in it hides the sidebar, the header, and whatever is `look.backstage`.
"""

from __future__ import annotations

import streamlit as st

from atesc_core import paths
from pages.shared.state import url
from pages.shared.ui import elements

ASSETS = paths.ASSETS / "projector"

_copy = st.components.v2.component(
    "atesc_copy", js=(ASSETS / "copy.js").read_text(), css=(ASSETS / "copy.css").read_text(), isolate_styles=False
)


def projecting() -> bool:
    """Whether the controls are hidden."""
    return st.query_params.get("projector") == "1"


def share() -> None:
    """For the sidebar: copy the page's link, or show the page alone. While it stands alone: the way back."""
    if projecting():
        st.html(f"<style>{(ASSETS / 'bare.css').read_text()}</style>")
        return
    with st.container(gap="xsmall", key="share"):
        elements.label("This page")
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _copy(key="copy link", data="Copy link", width="content")
            st.button(
                "Present",
                icon=":material/present_to_all:",
                key="projector on",
                on_click=url.put,
                args=("projector", 1),
                help="The page alone, for a projector; its link then opens it so",
            )


def way_back() -> None:
    """In the page's corner while it stands alone: copy this very link, show the controls."""
    if not projecting():
        return
    with st.container(horizontal=True, gap="xsmall", key="way back", width="content"):
        _copy(key="copy bare link", data="Copy link", width="content")
        st.button(
            "Show controls",
            icon=":material/visibility:",
            key="projector off",
            on_click=url.put,
            args=("projector", None),
        )
