"""Runs: queue them, run them in a separate process, watch and control them. What only reads them needs no torch."""

from atesc_core.errors import RunBusyError, StoreError, UnknownRunError
from atesc_core.runs.launcher import ensure_worker
from atesc_core.runs.run import AnyRun, ClassRecalls, DistillationRun, Run, TrainingRun
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.store import RunStore, default_runs_dir

__all__ = [
    "AnyRun",
    "ClassRecalls",
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
