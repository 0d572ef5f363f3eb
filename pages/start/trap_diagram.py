"""The trap as a diagram: assets/start/trap.svg, in the page's colours and font."""

from __future__ import annotations

import streamlit as st

from atesc_core import paths

ASSETS = paths.ASSETS / "start"

# A component, because st.html removes SVG. This is safe: the file is part of the lab, and no text is inserted.
trap_diagram = st.components.v2.component(
    "atesc_trap", html=(ASSETS / "trap.svg").read_text(), css=(ASSETS / "trap.css").read_text()
)
