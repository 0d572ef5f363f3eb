"""``distill``, the commands of ``runs``, and ``worker``: a run waits in the queue of the app."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from atesc_core.cli.common import (
    AsJson,
    Device,
    RunsDir,
    Settings,
    all_settings,
    as_table,
    folder,
    metrics_text,
    open_store,
    print_message,
    print_table,
    progress_bar,
)
from atesc_core.errors import SpecError, StoreError
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import EscapeKind, RunSpec
from atesc_core.vocabulary import METRIC_NAMES, SynthesizerName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from atesc_core.runs import AnyRun, Run, RunStore
    from atesc_core.specs.teacher import TeacherSpec
    from atesc_core.teachers.zoo import Teacher

POLL_S = 0.2  # between two reads of a followed run
STOP_S = 30.0  # how long Ctrl-C waits for the worker to finish its round

commands = typer.Typer(no_args_is_help=True, help="The runs so far.")


Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="EPOCH.ROUND:threshold=VALUE",
        help="A threshold from this round on, e.g. --at 3.1:threshold=9.5 (inf: one group); may be repeated.",
    ),
]


def distill(
    teacher: Annotated[str, typer.Option(help="Name of the teacher, as in `teachers list`.")],
    preset: Annotated[str, typer.Option(help=f"Settings to start from: {', '.join(PRESETS)}.")] = "quick",
    synthesizer: Annotated[
        SynthesizerName,
        typer.Option(help="How images are made: by one generator, a new one a call, or labels through a noisy layer."),
    ] = "dfq",
    escape: Annotated[
        EscapeKind | None,
        typer.Option(
            help="none: plain distillation; ckd: learn from fragile images; atesc: and forget robust ones; twin: "
            "this lab's two halves, plain where noise shows no trap; abd: shuffling vaccine; tadfkd: TA-DFKD's "
            "selection."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random in the run.")] = None,
    device: Device = "auto",
    settings: Settings = None,
    at: Thresholds = None,
    runs_dir: RunsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Distil a student, waiting in line with the runs of the app, which shows this one too."""
    from atesc_core.runs import RunStore

    options = {"synthesis.kind": synthesizer, "escape.kind": escape, "seed": seed, "device": device}
    spec = from_preset(preset, teacher, **all_settings(options, settings) | {"threshold_changes": tuple(at or ())})
    store = RunStore(folder(runs_dir))
    check_and_warn([spec], store)
    run_to_its_end(store, spec, as_json)


@commands.command("list")
def list_runs(
    as_json: AsJson = False,
    runs_dir: RunsDir = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest.", show_default=False)] = None,
    search: Annotated[
        str, typer.Option(help="Only those with these words in their name, note, tags, teacher, id or group.")
    ] = "",
) -> None:
    """List the runs, newest first."""
    from atesc_core.runs import DistillationRun, TrainingRun

    store = open_store(runs_dir)
    runs = store.search(search, include_forks=True)[:limit] if search else store.all_runs(limit, include_forks=True)
    if as_json:
        print(json.dumps([_as_json(run) for run in runs]))
        return
    table = Table("run", "teacher", "method", "escape", "seed", "status", "measured", "accuracy, %", "started", "group")
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)) if run.started else ""
        if isinstance(run, TrainingRun):
            method, escape = f"training, {run.spec.trained_by}", ""
        elif isinstance(run, DistillationRun):
            method = run.spec.synthesis.kind
            escape = run.spec.escape.kind + (f", {run.label}" if run.fork else "")
        table.add_row(
            run.id,
            run.teacher,
            method,
            escape,
            str(run.spec.seed),
            run.status,
            f"{run.measured_epoch}/{run.epochs}",
            metrics_text(run.metrics),
            when,
            run.group or "",
        )
    print_table(table)
    for run_id, why in store.unreadable().items():
        print_message(f"note: run {run_id} is not listed, this version cannot read it: {why}")


@commands.command("show")
def show_run(run_id: Annotated[str, typer.Argument(metavar="ID")], runs_dir: RunsDir = None) -> None:
    """Show a run: its settings, its accuracies by epoch, what happened to it."""
    from atesc_core.runs import DistillationRun
    from atesc_core.runs.run import build_text

    store = open_store(runs_dir)
    run = store.get(run_id)
    print(f"run: {run.id}\nstatus: {run.status}\nepoch: {run.epoch} of {run.epochs}\ndevice: {run.device or '-'}")
    if run.build:
        print(f"computed with: {build_text(run.build)}")
    described = {"name": run.label, "group": run.group, "tags": ", ".join(run.tags), "note": run.note}
    for field, text in described.items():
        if text:
            print(f"{field}: {text}")
    if run.error:
        print(f"error: {run.error}")
    print("\n" + (store.reproducing_spec(run) if isinstance(run, DistillationRun) else run.spec).to_yaml())
    epochs = store.epochs(run_id).drop(columns="time")
    print_table(as_table(epochs.rename(columns=METRIC_NAMES)))
    history = store.history(run_id)
    history["time"] = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) for seconds in history["time"]]
    print_table(as_table(history))


@commands.command("export")
def export_run(
    run_id: Annotated[str, typer.Argument(metavar="ID")],
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write TensorBoard's event files into DIR/ID.", show_default=False),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Write a run for another program to read: its curves, synthetic images and settings."""
    from atesc_core.tensorboard import export_events

    if tensorboard is None:
        raise ValueError("export: nothing to write; expected --tensorboard DIR")
    if tensorboard.exists() and not tensorboard.is_dir():
        raise ValueError(f"tensorboard: {str(tensorboard)!r} is a file; expected a folder")
    print(export_events(open_store(runs_dir), run_id, tensorboard))


RunIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of runs, as `atesc runs list` shows them.")]
SomeRunIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of runs, as `atesc runs list` shows them.")
]
GroupName = Annotated[str | None, typer.Option("--group", metavar="NAME", help="All runs of this group.")]


@commands.command("stop")
def stop_runs(run_ids: SomeRunIds = None, group: GroupName = None, runs_dir: RunsDir = None) -> None:
    """End runs, or all runs of a group, after their round; `runs resume` goes on from their last checkpoints."""
    store = open_store(runs_dir)
    _for_each(store.stop, store.stop_group, run_ids, group)


@commands.command("pause")
def pause_runs(run_ids: SomeRunIds = None, group: GroupName = None, runs_dir: RunsDir = None) -> None:
    """Pause runs, or all runs of a group, after their round."""
    store = open_store(runs_dir)
    _for_each(store.pause, store.pause_group, run_ids, group)


@commands.command("resume")
def resume_runs(run_ids: SomeRunIds = None, group: GroupName = None, runs_dir: RunsDir = None) -> None:
    """Put runs that are paused, stopped, interrupted or failed into the queue again, or all such runs of a group."""
    from atesc_core.runs import ensure_worker

    store = open_store(runs_dir)
    _for_each(store.resume, store.resume_group, run_ids, group)
    ensure_worker(store.runs_dir)


@commands.command("first")
def move_first(run_id: Annotated[str, typer.Argument(metavar="ID")], runs_dir: RunsDir = None) -> None:
    """Put a waiting run before all others in the queue."""
    open_store(runs_dir).move_first(run_id)


@commands.command("describe")
def describe_run(
    run_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str | None, typer.Option(help="Its name; '' takes it away.", show_default=False)] = None,
    note: Annotated[str | None, typer.Option(help="A note on it; '' takes it away.", show_default=False)] = None,
    tags: Annotated[
        str | None, typer.Option(help="Its tags, with commas between; '' takes them away.", show_default=False)
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Give a run a name, a note, tags: `runs list --search` finds it by them."""
    store = open_store(runs_dir)
    if name is not None:
        store.rename(run_id, name)
    if note is not None:
        store.annotate(run_id, note)
    if tags is not None:
        store.set_tags(run_id, tags.split(","))


def _for_each(
    act: Callable[[str], None], act_on_group: Callable[[str], None], run_ids: list[str] | None, group: str | None
) -> None:
    """Call ``act`` with each id, or ``act_on_group`` with the group's name."""
    if bool(run_ids) == bool(group):
        raise ValueError("runs: expected ids of runs, or --group NAME")
    for run_id in run_ids or ():
        act(run_id)
    if group:
        act_on_group(group)


@commands.command("delete")
def delete_runs(
    run_ids: RunIds, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, runs_dir: RunsDir = None
) -> None:
    """Delete runs with everything that they have: curves, images, students."""
    store = open_store(runs_dir)
    runs = list(dict.fromkeys(run_ids))
    for run_id in set(runs) - store.unreadable().keys():
        store.get(run_id)  # an error if there is no such run, before any is deleted
    size = sum(store.size(run_id).total for run_id in runs)
    if not yes:
        typer.confirm(f"Delete {len(runs)} runs, {size / 1e6:.1f} MB?", abort=True)
    for run_id in runs:
        store.delete(run_id)
    print(f"{size / 1e6:.1f} MB freed")


@commands.command("thin")
def thin_runs(run_ids: RunIds, runs_dir: RunsDir = None) -> None:
    """Delete the images and students of all epochs but first and last; the curves stay."""
    store = open_store(runs_dir)
    freed = sum(store.thin(run_id) for run_id in dict.fromkeys(run_ids))
    print(f"{freed / 1e6:.1f} MB freed")


@commands.command("student")
def save_student(
    run_id: Annotated[str, typer.Argument(metavar="ID")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A file ending in .safetensors.")],
    epoch: Annotated[
        int | None,
        typer.Option(
            help="As it was at the end of this epoch; the last that is kept, unless named.", show_default=False
        ),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Write a run's student, with its architecture, classes and normalisation: `teachers add` recognises it."""
    from atesc_core.files import atomic_write
    from atesc_core.runs import TrainingRun
    from atesc_core.runs.students.files import student_bytes

    if out.suffix != ".safetensors":
        raise ValueError(f"out: {str(out)!r}; expected a name ending in .safetensors")
    store = open_store(runs_dir)
    if isinstance(store.get(run_id), TrainingRun):
        raise ValueError(f"run: {run_id} trains a teacher and has no student; `teachers list` has its teacher")
    content = student_bytes(store, run_id, max(store.student_files(run_id), default=0) if epoch is None else epoch)
    with atomic_write(out) as file:
        file.write(content)
    print(out)


def worker(
    device: Device = "auto",
    stay: Annotated[
        bool, typer.Option("--stay", help="Wait for more runs when the queue is empty, until SIGTERM or Ctrl-C.")
    ] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Run what is queued, here and now, until the queue is empty. The app and `distill` start one themselves."""
    from atesc_core.runs.worker import serve

    serve(folder(runs_dir), device, stay)


def check_and_warn(specs: Sequence[RunSpec], store: RunStore, on_this_machine: bool = True) -> None:
    """Raise now the errors that the worker would raise later, and print what is probably a mistake.

    The device has to be present only if the runs are computed on this machine.
    """
    from atesc_core.synthesis import batchnorm_notice

    notes: dict[str | None, None] = {}
    for spec in {(spec.teacher, spec.student, spec.device, spec.synthesis.kind): spec for spec in specs}.values():
        notes[batchnorm_notice(_check_names(spec, store, on_this_machine).card.arch, spec.synthesis.kind)] = None
    for note in filter(None, notes | dict.fromkeys(warning for spec in specs for warning in spec.warnings())):
        print_message(f"note: {note}")


def _check_names(spec: RunSpec, store: RunStore, on_this_machine: bool) -> Teacher:
    """Raise now the errors that the worker would raise later. Returns the teacher."""
    from atesc_core.device import pick_device
    from atesc_core.models import ARCHITECTURES
    from atesc_core.teachers.zoo import load_teacher

    teacher = load_teacher(spec.teacher, store.runs_dir)
    if on_this_machine:
        pick_device(spec.device)
    if spec.student not in ARCHITECTURES:
        raise SpecError(f"student: {spec.student!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    return teacher


def run_to_its_end(store: RunStore, spec: RunSpec | TeacherSpec, as_json: bool) -> None:
    """Queue a run, show its progress, print its last accuracies.

    Ctrl-C stops it. Exit status 1 if it did not finish.
    """
    run = store.get(store.create(spec))
    try:
        run = follow(store, run)
    except KeyboardInterrupt:
        run = stop(store, run)
    _report(run, store.epochs(run.id), as_json)


def follow(store: RunStore, run: AnyRun) -> AnyRun:
    """Show the run's progress until it is over."""
    from atesc_core.runs import ensure_worker

    with progress_bar("{task.fields[note]}") as progress:
        task = progress.add_task(run.id, total=1, note="")
        while True:
            run = store.refresh(run)
            progress.update(task, completed=run.progress, note=_note(run))
            if run.status not in ("queued", "running", "paused"):
                return run
            with suppress(StoreError):  # it is tried again; the runs go on
                ensure_worker(store.runs_dir)
            time.sleep(POLL_S)


def stop(store: RunStore, run: AnyRun) -> AnyRun:
    """Stop the run after Ctrl-C, and wait until its worker has finished the round. Its log stays."""
    print_message("stopping after this round ...")
    store.stop(run.id)
    end = time.monotonic() + STOP_S
    while (run := store.refresh(run)).active and time.monotonic() < end:
        time.sleep(POLL_S)
    return run


def _report(run: Run, epochs: pd.DataFrame, as_json: bool) -> None:
    """Print the last epoch's metrics on stdout; exit status 1 if the run did not finish."""
    last = {} if epochs.empty else {str(name): value for name, value in epochs.iloc[-1].items()}
    last = {name: value for name, value in last.items() if name not in ("images", "time")}
    if as_json and last:
        print(json.dumps({"run_id": run.id, **last, "epoch": int(last["epoch"])}))
    elif last:
        print(f"run {run.id}, epoch {int(last['epoch'])} of {run.epochs}: {metrics_text(last)}")
    expect_done(run)


def expect_done(run: Run) -> None:
    """Exit with status 1 if the run did not finish."""
    if run.status != "done":
        print_message(
            f"error: run {run.id} {run.status}"
            + (f": {run.error}" if run.error else "; what it logged is kept, and the app can resume it")
        )
        raise typer.Exit(1)


def _note(run: Run) -> str:
    if run.status == "queued":
        if run.queue_position == 0:
            return "waits for a node of Ray"
        return "starting" if run.queue_position == 1 else f"in line, place {run.queue_position}"
    parts = [run.status, f"epoch {run.epoch}/{run.epochs}"]
    if run.metrics:
        parts.append(f"after {run.measured_epoch}: {metrics_text(run.metrics)}")
    if run.images_per_s:
        parts.append(f"{run.images_per_s:,.0f} img/s")
    if run.eta_s is not None:
        parts.append(f"{run.eta_s:.0f} s left")
    return "  ".join(part for part in parts if part)


def _as_json(run: Run) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(run) | {"spec": run.spec.model_dump(mode="json")}
