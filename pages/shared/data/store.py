"""The store of the lab's runs, one for all visitors."""

import streamlit as st

from atesc_core.runs import RunStore, default_runs_dir


def run_store() -> RunStore:
    """The store of the current runs folder."""
    return _store(str(default_runs_dir()))


@st.cache_resource(show_spinner=False)
def _store(runs_dir: str) -> RunStore:
    return RunStore(runs_dir)
