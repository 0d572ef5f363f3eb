"""What the app shows of an error that no page has caught: a sentence, with the details folded away."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.ui import elements


def handle_uncaught_errors() -> None:
    """Show the errors of this run of the script by `show_error`, its fragments' too; Streamlit logs each of them.

    Streamlit 1.67 offers such a handler to ``st.App`` only, and reads it from the context of the run. A fragment that
    runs again by itself has a context of its own: `polling.poll` calls this too.
    """
    context = get_script_run_ctx()
    if context is not None:
        context.on_script_error = show_error


def show_error(error: Exception) -> bool:
    """Draw what went wrong, what is kept and what to do; return that this replaces Streamlit's own words."""
    elements.problem(
        f"This page stopped at an error ({type(error).__name__}).",
        "Runs go on, and all that they have logged is kept.",
        "Reload the page. If it stops again, report the details below; the server's log has them too.",
    )
    if st.get_option("client.showErrorDetails") in ("full", True):
        with st.expander("Details", icon=":material/bug_report:"):
            st.exception(error)
    return True
