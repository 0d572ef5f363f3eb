"""The store of the lab's runs, one for all owners, and one for all who may only look."""

import streamlit as st

from atesc_core.runs import RunStore, default_runs_dir
from pages.shared.state.visitor import may_change


def run_store() -> RunStore:
    """The store of the current runs folder, as this visitor may use it."""
    return _store(str(default_runs_dir()), may_change())


@st.cache_resource(show_spinner=False)
def _store(runs_dir: str, may_change: bool) -> RunStore:
    return RunStore(runs_dir, may_change)
