"""``try``: compare another threshold with a run's current one, from one of the run's checkpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atesc_core.cli.common import RunsDir, open_store, print_message, print_table
from atesc_core.cli.runs import expect_done, follow, stop
from atesc_core.vocabulary import METRIC_NAMES, threshold_json

if TYPE_CHECKING:
    from atesc_core.runs import RunStore
    from atesc_core.runs.trials import Trial


def try_threshold(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run, as in `runs list`.")],
    threshold: Annotated[float, typer.Option(help="The new one, on the scale of the run's own score.")],
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs that are split by it; 2, unless fewer are left.", show_default=False),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            min=0,
            show_default=False,
            help="Epoch whose checkpoint both go on from: where the split begins, or of a run "
            "under way its newest; 0 is the start.",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Try a threshold: two short runs of the same seed from one checkpoint, the old threshold and the new."""
    from atesc_core.device import describe, pick_device
    from atesc_core.runs import trials
    from atesc_core.teachers.zoo import load_teacher

    store = open_store(runs_dir)
    run = trials.options(store, store.get(run_id)).run
    load_teacher(run.spec.teacher, store.runs_dir)
    device = describe(pick_device(run.spec.device)).summary
    if warning := run.spec.split.warning(threshold):
        print_message(f"note: {warning}")
    trial = trials.start(store, run_id, threshold, epochs, after, device)
    print_message(
        f"{trial.new.group}; both go on from the end of epoch {trial.fork.epoch}, split differently from epoch "
        f"{trial.first_epoch} to {trial.last_epoch}"
    )
    if trial.old_is_parent:
        print_message(f"old: run {run_id}'s own epochs, the same numbers; only the new threshold is computed")
    _follow_arms(store, trial)
    _report(store, trials.find(store, trial.new.id), as_json)


def _follow_arms(store: RunStore, trial: Trial) -> None:
    """Follow both arms, one after the other. Ctrl-C stops them."""
    try:
        for arm in trial.arms:
            follow(store, arm)
    except KeyboardInterrupt:
        for arm in reversed(trial.arms):
            stop(store, arm)


def _report(store: RunStore, trial: Trial, as_json: bool) -> None:
    """Print the difference by epoch on stdout; exit status 1 if an arm did not finish."""
    from atesc_core.figures.trial import signed_points

    rows = trial.difference(store)
    metrics = [name for name in METRIC_NAMES if name in rows]
    if as_json:
        print(
            json.dumps(
                {
                    "new": trial.new.id,
                    "old": trial.fork.old,
                    "after": trial.fork.epoch,
                    "thresholds": {
                        "old": threshold_json(trial.fork.old_threshold),
                        "new": threshold_json(trial.fork.threshold),
                    },
                    "epochs": rows.to_dict("records"),
                }
            )
        )
    else:
        table = Table(
            "epoch",
            *(f"{METRIC_NAMES[name]} {column}" for name in metrics for column in ("old", "new", "new − old")),
            title=f"{trial.new.group}, per cent of test images, one seed ({trial.new.spec.seed})",
        )
        for row in rows.to_dict("records"):
            table.add_row(
                str(int(row["epoch"])),
                *(
                    text
                    for name in metrics
                    for text in (f"{row[f'{name}_old']:.1f}", f"{row[f'{name}_new']:.1f}", signed_points(row[name]))
                ),
            )
        print_table(table)
    for arm in trial.arms:
        expect_done(arm)
