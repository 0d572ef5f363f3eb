"""A button that copies a page's link, and the presenting mode: the page without its controls, for a projector.

Both work on every page, because a page's whole state is in its address (pages/shared/state/url.py). The copied link is
the address. In presenting mode, ``?projector=1`` in the address hides the sidebar, Streamlit's header and every
container made by `elements.hidden_when_presenting`.
"""

from __future__ import annotations

import streamlit as st

from atesc_core import paths
from pages.shared.state import url
from pages.shared.ui import elements

ASSETS = paths.ASSETS / "presentation"

_copy_button = st.components.v2.component(
    "atesc_copy_link",
    js=(ASSETS / "copy_link.js").read_text(),
    css=(ASSETS / "copy_link.css").read_text(),
    isolate_styles=False,
)


def presenting() -> bool:
    """Whether the page is in presenting mode."""
    return st.query_params.get("projector") == "1"


def start_controls() -> None:
    """Draw the sidebar's buttons that copy the link and start presenting. In presenting mode, hide all controls."""
    if presenting():
        st.html(f"<style>{(ASSETS / 'presenting.css').read_text()}</style>")
        return
    with st.container(gap="xsmall", key="share"):
        elements.label("This page")
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _copy_button(key="copy link", data="Copy link", width="content")
            st.button(
                "Present",
                icon=":material/present_to_all:",
                key="present",
                on_click=url.set_parameter,
                args=("projector", 1),
                help="The page alone, for a projector; its link then opens it so",
            )


def stop_controls() -> None:
    """In presenting mode, draw the buttons that copy the link and show the controls again, in the page's corner."""
    if not presenting():
        return
    with st.container(horizontal=True, gap="xsmall", key="stop presenting", width="content"):
        _copy_button(key="copy presenting link", data="Copy link", width="content")
        st.button(
            "Show controls",
            icon=":material/visibility:",
            key="show controls",
            shortcut="Esc",
            on_click=url.set_parameter,
            args=("projector", None),
        )
