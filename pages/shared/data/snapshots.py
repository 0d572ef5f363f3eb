"""Synthetic images of runs. Each epoch is read once for all visitors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import streamlit as st

from atesc_core.errors import DamagedSnapshotError
from atesc_core.figures import run_data
from atesc_core.runs import Snapshot
from atesc_core.runs.snapshots import read_batchnorm
from atesc_core.teachers.batchnorm import BatchNormReport
from pages.shared.data.store import run_store


def load_snapshot(run_id: str, epoch: int) -> Snapshot:
    """The run's synthetic images at the end of an epoch.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the images of that epoch are missing, or known to be damaged.
    """
    file = run_store().snapshot_file(run_id, epoch)
    modified = file.stat().st_mtime_ns if file.exists() else 0  # a resumed run writes its epochs again
    with leaving_out_damaged():
        return _snapshot(str(run_store().runs_dir), run_id, epoch, modified)


@contextlib.contextmanager
def leaving_out_damaged() -> Iterator[None]:
    """Runs the page again, without the epoch, when a file of synthetic images turns out to be damaged."""
    try:
        yield
    except DamagedSnapshotError:
        st.rerun()


def batchnorm_by_epoch(run_id: str, report: BatchNormReport) -> dict[int, np.ndarray]:
    """See ``run_data.batchnorm_by_epoch``. Each file is read once."""
    return run_data.batchnorm_by_epoch(run_id, run_store(), report, _read_batchnorm)


def _read_batchnorm(path: Path) -> np.ndarray:
    with leaving_out_damaged():
        return _cached_batchnorm(str(path), path.stat().st_mtime_ns)


@st.cache_resource(max_entries=1024, show_spinner=False)
def _cached_batchnorm(path: str, modified: int) -> np.ndarray:
    return read_batchnorm(Path(path))


@st.cache_resource(max_entries=64, show_spinner=False)
def _snapshot(runs_dir: str, run_id: str, epoch: int, modified: int) -> Snapshot:
    """All visitors share the object, so do not modify it: copying 20 000 images takes longer than drawing them."""
    return run_store().snapshot(run_id, epoch)
