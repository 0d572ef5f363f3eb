"""``atesc-lab``: serves the app, from a checkout or from an installed package."""

from __future__ import annotations

import runpy
import sys

from atesc_core.paths import APP, HOME


def main() -> None:
    """Runs app.py as ``python app.py`` does, with the options of this command line; returns when the server ends."""
    sys.path.insert(0, str(HOME))  # app.py imports its pages from its own folder
    runpy.run_path(str(APP), run_name="__main__")
