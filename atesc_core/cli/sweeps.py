"""``sweep`` and ``repeat``: many runs as one group, and the progress of the group."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from atesc_core.cli.common import (
    Address,
    On,
    RunsDir,
    Settings,
    check_on,
    folder,
    open_store,
    print_message,
    print_table,
    progress_bar,
    typed_settings,
)
from atesc_core.cli.runs import POLL_S, STOP_S, Thresholds, check_and_warn
from atesc_core.errors import StoreError
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.sweep import sweep
from atesc_core.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atesc_core.runs import RunStore
    from atesc_core.runs.cluster import ClusterRuns
    from atesc_core.runs.group import RunGroup
    from atesc_core.specs.run import RunSpec

Name = Annotated[
    str | None, typer.Option(help="Name of the group; a new one is made unless given.", show_default=False)
]
AsJsonLine = Annotated[bool, typer.Option("--json", help="Print the results as one JSON line.")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Show the progress until all runs have ended, or only queue them.")
]


def sweep_settings(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Name of the teacher, as in `teachers list`.")],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=VALUES",
            help="Values of a setting: escape.weight=0.1,0.3,1 or seed=1,5,10-19 or teacher=a,b; may be repeated, for "
            "every combination.",
        ),
    ],
    preset: Annotated[str, typer.Option(help=f"Settings to start from: {', '.join(PRESETS)}.")] = "quick",
    settings: Settings = None,
    at: Thresholds = None,
    name: Name = None,
    wait: Wait = True,
    on: On = "workers",
    address: Address = None,
    runs_dir: RunsDir = None,
    as_json: AsJsonLine = False,
) -> None:
    """Queue a run for every combination of values, as one group, and show the group's progress."""
    from atesc_core.runs import RunStore

    base = from_preset(preset, teacher, **typed_settings(settings) | {"threshold_changes": tuple(at or ())})
    _run_group(RunStore(folder(runs_dir)), sweep(base, vary), name, wait, on, address, as_json)


def repeat(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as in `runs list`.")],
    seeds: Annotated[str, typer.Option(help="Seeds: 10-19, or 1,5,10-12.")],
    name: Name = None,
    wait: Wait = True,
    on: On = "workers",
    address: Address = None,
    runs_dir: RunsDir = None,
    as_json: AsJsonLine = False,
) -> None:
    """Queue the same run with other seeds, as one group, which the run joins unless it has a group."""
    store = open_store(runs_dir)
    spec = store.reproducing_spec(store.get_distillation(run_id))
    _run_group(store, sweep(spec, [f"seed={seeds}"]), name, wait, on, address, as_json, joined_by=run_id)


def _run_group(
    store: RunStore,
    specs: Sequence[RunSpec],
    name: str | None,
    wait: bool,
    on: Literal["workers", "ray"],
    address: str | None,
    as_json: bool,
    joined_by: str | None = None,
) -> None:
    """Queue the runs, print the group's name; with ``wait``, show the progress, then the results.

    Ctrl-C stops the runs. Exit status 1 if one of them did not finish.
    """
    from atesc_core.runs import ensure_worker

    check_on(on, address)
    if on == "ray" and not wait:
        raise ValueError("--no-wait: with --on ray, this process leads the runs and has to wait for them")
    check_and_warn(specs, store, on_this_machine=on == "workers")
    runs: ClusterRuns | None = None
    with ExitStack() as stack:
        if on == "ray":
            from atesc_core.runs.cluster import Cluster, ClusterRuns

            runs = stack.enter_context(ClusterRuns(store, stack.enter_context(Cluster(address))))
            group = runs.create_group(specs, name, joined_by)
        else:
            group = store.create_group(specs, name, joined_by)
        print_message(f"{len(specs)} runs in the group {group}")
        if not wait:
            ensure_worker(store.runs_dir)
            print(json.dumps({"group": group}) if as_json else group)
            return
        try:
            _follow(store, group, runs)
        except KeyboardInterrupt:
            print_message("stopping after this round ...")
            store.stop_group(group)
            end = time.monotonic() + STOP_S
            while store.group(group).active and time.monotonic() < end:
                time.sleep(POLL_S)
    _report(store, store.group(group), as_json)


def _follow(store: RunStore, name: str, on_ray: ClusterRuns | None) -> None:
    """Show the group's progress and time left until none of its runs is queued, running or paused.

    Raises an error of the runs on Ray that they could not note in the store.
    """
    from atesc_core.runs import ensure_worker

    with progress_bar("{task.fields[note]}") as progress:
        task = progress.add_task(name, total=1, note="")
        while True:
            if on_ray:
                on_ray.check()
            group = store.group(name)
            progress.update(task, completed=group.progress, note=_note(group))
            if group.ended:
                return
            with suppress(StoreError):  # it is tried again; the runs go on
                ensure_worker(store.runs_dir)
            time.sleep(POLL_S)


def _note(group: RunGroup) -> str:
    counts = group.counts
    parts = [f"{counts.get('done', 0)} of {len(group.runs)} done"]
    parts += [f"{count} {status}" for status, count in counts.items() if status != "done"]
    if (seconds := group.eta_s) is not None and group.active:
        parts.append(f"about {seconds:.0f} s left")
    return "  ".join(parts)


def _report(store: RunStore, group: RunGroup, as_json: bool) -> None:
    """Print the results on stdout, and on stderr what did not finish; then the exit status is 1."""
    if as_json:
        rows = [{"run_id": run.id, "seed": run.spec.seed, "status": run.status} | run.metrics for run in group.runs]
        print(json.dumps({"group": group.name, "runs": rows}))
    else:
        print(group.name)
        print_table(_results(store, group))
    unfinished = [run for run in group.runs if run.status != "done"]
    for run in unfinished:
        print_message(f"error: run {run.id} {run.status}" + (f": {run.error}" if run.error else ""))
    if unfinished:
        print_message(f"what they logged is kept; `atesc runs resume --group {shlex.quote(group.name)}` goes on")
        raise typer.Exit(1)


def _results(store: RunStore, group: RunGroup) -> Table:
    """A row for each setting: mean ± sd over its seeds at the last epoch, and how many students are trapped."""
    from atesc_core.figures import comparison
    from atesc_core.figures.export.table import plus_minus
    from atesc_core.teachers import list_teachers

    measured = [comparison.MeasuredRun(run, *comparison.read_log(store, run.id)) for run in group.runs]
    settings, cards = comparison.group_by_seed(measured), {card.name: card for card in list_teachers(store.runs_dir)}
    if not settings:
        return Table("no run has finished an epoch")
    rows = comparison.results(settings)
    metrics = [name for name in METRIC_NAMES if name in rows]
    title = "last epoch, per cent of test images, mean ± sd over seeds"
    table = Table("setting", "seeds", "epoch", *(METRIC_NAMES[name] for name in metrics), "trap", title=title)
    for row, setting in zip(rows.to_dict("records"), settings, strict=True):
        recalls = {each.run.id: store.recalls(each.run.id, setting.last_epoch) for each in setting.runs}
        table.add_row(
            row["spec"],
            str(row["seeds"]),
            f"{row['epoch']}/{row['epochs']}",
            *(plus_minus(row[name], row[f"{name}_sd"]) for name in metrics),
            comparison.trap_text(setting, settings, cards, recalls),
        )
    return table
