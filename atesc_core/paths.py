"""Where the lab's own files are, in a checkout and in an installed package alike.

A checkout has ``app.py``, ``pages/`` and ``assets/`` beside ``atesc_core/``. The wheel holds them in the folder
``atesc_lab`` beside the package ``atesc_core``.
"""

from __future__ import annotations

from pathlib import Path

IMPORT_ROOT = Path(__file__).resolve().parents[1]  # the folder from which ``import atesc_core`` finds this package
IS_CHECKOUT = (IMPORT_ROOT / "app.py").exists()
HOME = IMPORT_ROOT if IS_CHECKOUT else IMPORT_ROOT / "atesc_lab"  # app.py, pages/, assets/, .streamlit/
APP = HOME / "app.py"
ASSETS = HOME / "assets"
