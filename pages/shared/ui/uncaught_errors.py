"""The notice for an error that no page has caught: a sentence, with the details in an expander."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.ui import elements


def handle_uncaught_errors() -> None:
    """Show uncaught errors of this script run by `show_error`. Streamlit still logs each error.

    Streamlit 1.67 supports such a handler only in ``st.App``, and reads it from the context of the script run. A
    fragment's rerun has another context, so `polling.poll` calls this function too.
    """
    context = get_script_run_ctx()
    if context is not None:
        context.on_script_error = show_error


def show_error(error: Exception) -> bool:
    """Draw the error, and return True: Streamlit then does not draw its own message."""
    elements.problem(
        f"This page stopped at an error ({type(error).__name__}).",
        "Runs go on, and all that they have logged is kept.",
        "Reload the page. If it stops again, report the details below; the server's log has them too.",
    )
    if st.get_option("client.showErrorDetails") in ("full", True):
        with st.expander("Details", icon=":material/bug_report:"):
            st.exception(error)
    return True
