"""The trap in one picture: assets/start/trap.svg, in the page's own colours and font."""

import streamlit as st

from atesc_core import paths

ASSETS = paths.ASSETS / "start"

# st.html would take the SVG out. The file is ours, and nothing is put into it.
picture = st.components.v2.component(
    "atesc_trap", html=(ASSETS / "trap.svg").read_text(), css=(ASSETS / "trap.css").read_text()
)
