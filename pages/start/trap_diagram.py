"""The trap as a diagram: assets/start/trap.svg, in the page's own colours and font."""

from __future__ import annotations

import streamlit as st

from atesc_core import paths

ASSETS = paths.ASSETS / "start"

# st.html would remove the SVG. The file is part of the lab, and nothing is inserted into it.
trap_diagram = st.components.v2.component(
    "atesc_trap", html=(ASSETS / "trap.svg").read_text(), css=(ASSETS / "trap.css").read_text()
)
