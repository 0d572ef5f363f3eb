"""Runs: queued, run in a process of their own, watched and controlled. Imports no torch; worker.py does."""

from atesc_core.errors import RunBusyError, StoreError, UnknownRunError
from atesc_core.runs.launcher import ensure_worker
from atesc_core.runs.run import AnyRun, DistillationRun, Run, TrainingRun
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import RunStore, default_runs_dir

__all__ = [
    "AnyRun",
    "DistillationRun",
    "Run",
    "RunBusyError",
    "RunStore",
    "Snapshot",
    "StoreError",
    "TrainingRun",
    "UnknownRunError",
    "default_runs_dir",
    "ensure_worker",
]
