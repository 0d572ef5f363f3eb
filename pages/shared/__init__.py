"""What several pages share: pages import from here and from their own folder, never from each other's.

Streamlit takes any ``pages/`` folder for its older kind of multipage app until a script has called ``st.navigation``.
``python app.py`` tells it beforehand (server.py); where it was not told, whoever imports this package first does, and
the script starts over.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    st.rerun()
