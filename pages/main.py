"""What runs for each visitor: the list of pages, and what every page shows around its content (sidebar, style)."""

import streamlit as st

from atesc_core.paths import ASSETS, HOME
from pages.shared.state.visitor import admit
from pages.shared.ui import appearance
from pages.shared.ui.sidebar import sidebar

PAGES = {
    "start": ("Start", ":material/home:"),
    "story": ("Story", ":material/slideshow:"),
    "domains": ("Domains", ":material/photo_library:"),
    "teachers": ("Teachers", ":material/school:"),
    "distill": ("Distill", ":material/experiment:"),
    "robustness": ("Robustness", ":material/vertical_split:"),
    "embedding": ("Embedding", ":material/scatter_plot:"),
    "compare": ("Compare", ":material/stacked_line_chart:"),
    "figures": ("Figures", ":material/picture_as_pdf:"),
    "results": ("Results", ":material/table_chart:"),
    "storage": ("Storage", ":material/hard_drive:"),
}

st.set_page_config(
    page_title="ATEsc Lab",
    page_icon=ASSETS / "appearance" / "mark.svg",
    layout="wide",
    menu_items={"About": "ATEsc Lab: data-free distillation from non-transferable teachers, seen while it runs."},
)

pages = [
    st.Page(HOME / "pages" / name / "page.py", title=title, icon=icon, url_path=name, default=name == "start")
    for name, (title, icon) in PAGES.items()
]
page = st.navigation(pages, position="hidden")  # client.showSidebarNavigation hides its menu in any case
appearance.apply_style()
admit()
sidebar(pages)
page.run()
