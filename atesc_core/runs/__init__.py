"""How a run is queued, run in a process of its own, watched and steered. Imports no torch; worker.py does."""

from atesc_core.runs.database import StoreError
from atesc_core.runs.launcher import ensure_worker
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import Run, RunBusy, RunStore, UnknownRun, default_runs_dir

__all__ = ["Run", "RunBusy", "RunStore", "Snapshot", "StoreError", "UnknownRun", "default_runs_dir", "ensure_worker"]
