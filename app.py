"""Routes only: which pages there are, and what every page shows beside its own content."""

from pathlib import Path

import streamlit as st

from pages._parts import look
from pages._parts.sidebar import sidebar

HERE = Path(__file__).parent

PAGES = {
    "start": ("Start", ":material/home:"),
    "domains": ("Domains", ":material/photo_library:"),
    "teachers": ("Teachers", ":material/school:"),
    "distill": ("Distill", ":material/experiment:"),
    "robustness": ("Robustness", ":material/vertical_split:"),
    "embedding": ("Embedding", ":material/scatter_plot:"),
    "compare": ("Compare", ":material/stacked_line_chart:"),
    "figures": ("Figures", ":material/picture_as_pdf:"),
    "results": ("Results", ":material/table_chart:"),
}

st.set_page_config(
    page_title="ATEsc Lab",
    page_icon=HERE / "assets" / "look" / "mark.svg",
    layout="wide",
    menu_items={"About": "ATEsc Lab: data-free distillation from non-transferable teachers, seen while it runs."},
)

pages = [
    st.Page(HERE / "pages" / f"{name}.py", title=title, icon=icon, default=name == "start")
    for name, (title, icon) in PAGES.items()
]
page = st.navigation(pages, position="hidden")  # client.showSidebarNavigation hides its menu in any case
look.dress()
sidebar(pages)
page.run()
