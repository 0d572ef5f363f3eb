"""The notice for an error that no page has caught: a sentence, never a traceback, which is in a file."""

from __future__ import annotations

import contextlib
import tempfile
import time
import traceback
from pathlib import Path

from atesc_core.errors import StoreError
from atesc_core.runs import default_runs_dir
from pages.shared.ui import elements

LOG_NAME = "atesc-lab-errors.log"  # in the folder of the runs
LOG_BYTES = 1_000_000  # of the log, which begins anew when it is longer


def show_error(error: Exception) -> bool:
    """Draw the error, and return True: Streamlit then does not draw its own message. The handler of ``st.App``."""
    if isinstance(error, StoreError):  # the folder of the runs: its message says what to do
        elements.problem("The runs cannot be read or changed.", f"{error}.", "Then reload the page.")
        return True
    log = _write_down(error)
    elements.problem(
        f"This page stopped at an error ({type(error).__name__}).",
        "Runs go on, and all that they have logged is kept.",
        f"Reload the page. If it stops again, report the last entry of {log}." if log else "Reload the page.",
    )
    return True


def _write_down(error: Exception) -> Path | None:
    """Append the error's traceback to a file; returns the file, or None if none can be written."""
    text = "".join(traceback.format_exception(error))
    for folder in (default_runs_dir(), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            log = folder / LOG_NAME
            full = log.exists() and log.stat().st_size > LOG_BYTES
            with log.open("w" if full else "a") as output:
                output.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
            return log
    return None
