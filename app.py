"""The app's entry point: the list of pages, and what every page shows around its content (sidebar, style).

Both ``python app.py`` and ``streamlit run app.py`` serve the app.
"""

import sys
from pathlib import Path

import streamlit as st

from pages.shared.ui import appearance
from pages.shared.ui.sidebar import sidebar
from pages.shared.ui.uncaught_errors import handle_uncaught_errors

if __name__ == "__main__" and not st.runtime.exists():  # run as a script, not by Streamlit
    from pages.shared.server import serve

    serve(sys.argv[1:])

HOME = Path(__file__).parent

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
}

st.set_page_config(
    page_title="ATEsc Lab",
    page_icon=HOME / "assets" / "appearance" / "mark.svg",
    layout="wide",
    menu_items={"About": "ATEsc Lab: data-free distillation from non-transferable teachers, seen while it runs."},
)

pages = [
    st.Page(HOME / "pages" / name / "page.py", title=title, icon=icon, url_path=name, default=name == "start")
    for name, (title, icon) in PAGES.items()
]
page = st.navigation(pages, position="hidden")  # client.showSidebarNavigation hides its menu in any case
handle_uncaught_errors()
appearance.apply_style()
sidebar(pages)
page.run()
