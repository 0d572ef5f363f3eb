"""The app's server. ``python app.py`` and ``streamlit run app.py`` start it; pages/main.py runs for each visitor."""

import sys

import streamlit as st
from starlette.middleware import Middleware

from atesc_core.paths import HOME
from pages.shared.access import AccessError, SignIn, access
from pages.shared.server import serve, starting
from pages.shared.ui.uncaught_errors import show_error
from pages.shared.uploads import UploadBound

if __name__ == "__main__":
    serve(sys.argv[1:])  # by Streamlit, which then imports this file

try:
    entry = access()
except AccessError as error:
    sys.exit(f"error: {error}")

app = st.App(
    HOME / "pages" / "main.py",
    middleware=[Middleware(SignIn, access=entry), Middleware(UploadBound)],
    lifespan=starting,
    on_script_error=show_error,
)
