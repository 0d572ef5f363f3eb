"""Export of a run for TensorBoard.

tensorboardX writes the event files. torch's own writer would need TensorBoard, with its web server and gRPC.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atesc_core.runs import RunStore
from atesc_core.specs.command import run_command
from atesc_core.vocabulary import METRIC_NAMES

GROUPS = {"g": "generator_loss", "s": "student_loss"}
SUFFIX = ".atesc-lab"  # of the event files, which a new export replaces
MAX_IMAGES = 64  # synthetic images of an epoch


def export_events(store: RunStore, run_id: str, folder: Path) -> Path:
    """Write a run's accuracies, losses, split, synthetic images and settings as TensorBoard events.

    Steps are rounds since the run started; wall times are those of the run. A new export replaces the last one.

    Args:
        store: The store that has the run.
        run_id: The run's id.
        folder: The folder in which to make the run's folder.

    Returns:
        The folder ``folder``/ID.

    Raises:
        UnknownRunError: The store has no such run.
    """
    from tensorboardX import SummaryWriter

    run = store.get_distillation(run_id)
    target = folder / run.id
    for old in target.glob(f"events.out.tfevents.*{SUFFIX}"):
        old.unlink()
    with SummaryWriter(str(target), filename_suffix=SUFFIX) as writer:
        started = run.started or run.created
        spec = store.reproducing_spec(run)
        writer.add_text("settings", f"```\n{spec.to_yaml()}```", 0, walltime=started)
        writer.add_text("command", f"    {run_command(spec)}", 0, walltime=started)
        epochs = store.epochs(run.id)
        _scalars(
            writer,
            epochs,
            epochs["epoch"] * run.rounds if len(epochs) else [],
            {metric: f"accuracy/{name}" for metric, name in METRIC_NAMES.items() if metric in epochs},
        )
        steps = store.rounds(run.id)
        losses = [str(name) for name in steps if str(name).startswith(("g/", "s/"))]
        tags = {name: f"{GROUPS[name[0]]}/{name[2:]}" for name in losses}
        _scalars(
            writer,
            steps,
            (steps["epoch"] - 1) * run.rounds + steps["round"] if len(steps) else [],
            tags | {"threshold": "split/threshold", "fragile_share": "split/fragile_share"},
        )
        end_times = dict(zip(epochs["epoch"], epochs["time"], strict=True)) if len(epochs) else {}
        for epoch in store.snapshot_epochs(run.id):
            writer.add_images(
                "synthetic_images",
                store.snapshot(run.id, epoch).images[:MAX_IMAGES].astype(np.uint8),
                epoch * run.rounds,
                walltime=end_times.get(epoch, time.time()),
            )
    return target


def _scalars(writer: Any, frame: pd.DataFrame, steps: Any, tags: dict[str, str]) -> None:
    """Write columns of a frame as scalars, without missing and infinite values. ``tags``: column -> tag."""
    for name, tag in tags.items():
        for step, time_s, value in zip(steps, frame["time"], frame[name], strict=True) if len(frame) else ():
            if np.isfinite(value):
                writer.add_scalar(tag, float(value), int(step), walltime=time_s)
