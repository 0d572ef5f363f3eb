"""Runs: queued, run in a process of their own, watched and controlled. Imports no torch; worker.py does."""

from atesc_core.errors import RunBusy, StoreError, UnknownRun
from atesc_core.runs.launcher import ensure_worker
from atesc_core.runs.run import AnyRun, DistillationRun, Run, TrainingRun
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import RunStore, default_runs_dir

__all__ = [
    "AnyRun",
    "DistillationRun",
    "Run",
    "RunBusy",
    "RunStore",
    "Snapshot",
    "StoreError",
    "TrainingRun",
    "UnknownRun",
    "default_runs_dir",
    "ensure_worker",
]
