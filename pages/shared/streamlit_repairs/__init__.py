"""Repairs of Streamlit 1.67 for pages that draw themselves anew while a run goes on. Each says what went wrong."""

import streamlit as st

from pages.shared.streamlit_repairs.downloads import keep_downloads_while_redrawing
from pages.shared.streamlit_repairs.reruns import deliver_output_before_rerun

VERSION = "1.67."  # another one may have been mended, or have other names


def repair() -> None:
    """Make all repairs, for all sessions from now on. Does nothing in another version of Streamlit."""
    if st.__version__.startswith(VERSION):
        deliver_output_before_rerun()
        keep_downloads_while_redrawing()
