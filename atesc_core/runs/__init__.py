"""How a run is queued, run in a process of its own, watched and steered. Imports no torch; worker.py does."""

from atesc_core.errors import RunBusy, StoreError, UnknownRun
from atesc_core.runs.launcher import ensure_worker
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import Run, RunStore, default_runs_dir

__all__ = ["Run", "RunBusy", "RunStore", "Snapshot", "StoreError", "UnknownRun", "default_runs_dir", "ensure_worker"]
