"""The app's server, as ``python app.py`` and the command ``atesc-lab`` start it."""

from __future__ import annotations

import sys

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from atesc_core.paths import APP


def serve(arguments: list[str]) -> None:
    """Serves the app until it is stopped; never returns.

    arguments: Streamlit's own options, for instance ``["--server.port", "8600"]``. This is ``streamlit run app.py``
    with one difference: Streamlit is told beforehand that ``pages/`` is not an app of its older kind. Otherwise the
    first visitor of a fresh server who follows a link to a page is told that there is no such page (Streamlit 1.67).
    """
    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", str(APP), *arguments]
    sys.exit(main())
