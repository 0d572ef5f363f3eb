"""What several pages share.

Streamlit takes any pages/ folder for its older kind of multipage app until a script has called
`st.navigation`. A server whose first visitor follows a link to a page would run that page's file alone,
without app.py around it. Whoever imports this package first sets that right and starts over.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    st.rerun()
