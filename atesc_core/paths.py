"""Paths of the lab's files, in a checkout and in an installed package.

In a checkout, ``app.py``, ``pages/`` and ``assets/`` are next to ``atesc_core/``. In the wheel, they are in the folder
``atesc_lab`` next to the package ``atesc_core``.
"""

from __future__ import annotations

from pathlib import Path

IMPORT_ROOT = Path(__file__).resolve().parents[1]  # the folder from which ``import atesc_core`` finds this package
IS_CHECKOUT = (IMPORT_ROOT / "app.py").exists()
HOME = IMPORT_ROOT if IS_CHECKOUT else IMPORT_ROOT / "atesc_lab"  # app.py, pages/, assets/, .streamlit/
APP = HOME / "app.py"
ASSETS = HOME / "assets"
