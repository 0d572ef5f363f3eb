"""TODO: what this module is."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import Snapshot
from pages.shared.data.store import run_store


def load_snapshot(run_id: str, epoch: int) -> Snapshot:
    """The run's synthetic images at the end of an epoch, read once. Raises UnknownRun, StoreError."""
    file = run_store().snapshot_file(run_id, epoch)
    written = file.stat().st_mtime_ns if file.exists() else 0  # a resumed run writes its epochs anew
    return _snapshot(str(run_store().runs_dir), run_id, epoch, written)


@st.cache_resource(max_entries=64, show_spinner=False)
def _snapshot(runs_dir: str, run_id: str, epoch: int, written: int) -> Snapshot:
    """One for all visitors, and never written to: a copy of 20 000 images at every look took longer than the look."""
    return run_store().snapshot(run_id, epoch)
