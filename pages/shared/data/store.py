"""The store of the lab's runs, one for all owners, and one for all who may only look."""

import contextlib
from pathlib import Path

import streamlit as st

from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, default_runs_dir, ensure_worker
from pages.shared.state.visitor import may_change


def run_store() -> RunStore:
    """The store of the current runs folder, as this visitor may use it."""
    return _store(str(default_runs_dir()), may_change())


@st.cache_resource(show_spinner=False)
def _store(runs_dir: str, may_change: bool) -> RunStore:
    return RunStore(runs_dir, may_change, on_queued=_start_worker)


def _start_worker(runs_dir: Path) -> None:
    with contextlib.suppress(StoreError):  # the sidebar, which tries again on its timer, shows it
        ensure_worker(runs_dir)
