"""Code that several pages share. A page imports from here and from its own folder, never from another page's folder.

Streamlit treats any ``pages/`` folder as its older kind of multipage app until a script has called ``st.navigation``.
``python app.py`` switches this off before the server starts (server.py). Under ``streamlit run app.py``, the first
import of this package switches it off and runs the script again.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    st.rerun()
