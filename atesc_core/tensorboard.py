"""A run as TensorBoard shows it. The event files are written by tensorboardX, which needs no TensorBoard; torch's own
writer needs it, with a web server and gRPC, to be installed."""

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
SUFFIX = ".atesc-lab"  # of our event files, which a new export replaces
PICTURES = 64  # synthetic images an epoch


def export_events(store: RunStore, run_id: str, folder: Path) -> Path:
    """Write the run's accuracies, losses, split, synthetic images and settings into ``folder``/ID; that folder.

    Steps are rounds from the run's start; wall times are when it happened. Exporting again replaces what was
    exported. Raises UnknownRun.
    """
    from tensorboardX import SummaryWriter

    run = store.get_distillation(run_id)
    target = folder / run.id
    for old in target.glob(f"events.out.tfevents.*{SUFFIX}"):
        old.unlink()
    with SummaryWriter(str(target), filename_suffix=SUFFIX) as writer:
        began = run.started or run.created
        writer.add_text("settings", f"```\n{run.spec.to_yaml()}```", 0, walltime=began)
        writer.add_text("command", f"    {run_command(run.spec)}", 0, walltime=began)
        ends = store.epochs(run.id)
        _scalars(
            writer,
            ends,
            ends["epoch"] * run.rounds if len(ends) else [],
            {name: f"accuracy/{METRIC_NAMES[name]}" for name in ends if name in METRIC_NAMES},
        )
        steps = store.rounds(run.id)
        tags = {name: f"{GROUPS[name[0]]}/{name[2:]}" for name in steps if name[:2] in ("g/", "s/")}
        _scalars(
            writer,
            steps,
            (steps["epoch"] - 1) * run.rounds + steps["round"] if len(steps) else [],
            tags | {"threshold": "split/threshold", "fragile_share": "split/fragile_share"},
        )
        times = dict(zip(ends["epoch"], ends["time"], strict=True)) if len(ends) else {}
        for epoch in store.snapshot_epochs(run.id):
            writer.add_images(
                "synthetic_images",
                store.snapshot(run.id, epoch).images[:PICTURES].astype(np.uint8),
                epoch * run.rounds,
                walltime=times.get(epoch, time.time()),
            )
    return target


def _scalars(writer: Any, frame: pd.DataFrame, steps: Any, tags: dict[str, str]) -> None:
    """What is missing (a loss in an epoch that has none) is left out."""
    for name, tag in tags.items():
        for step, at, value in zip(steps, frame["time"], frame[name], strict=True) if len(frame) else ():
            if value == value:
                writer.add_scalar(tag, float(value), int(step), walltime=at)
