"""``study``: the runs of a study, and the page of results made from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from atesc_core.cli.common import Address, On, RunsDir, check_on, folder, metrics_text, print_message, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from atesc_core.study import PlannedRun
    from atesc_core.study.rows import Images


def study(
    name: Annotated[
        Literal["offline", "escape", "paper", "development"],
        typer.Argument(
            help="offline: the shipped teachers, every synthesizer, the quick preset; escape: ATEsc's parts, and two "
            "batch sizes; paper: the paper's pairs, the full preset; development: Twin, this lab's escape, on "
            "validation images."
        ),
    ],
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Number of seeds, from 100 (development: from 0); 5 for offline and development, else 3.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[str, typer.Option(help="i/n: of n processes at once this is the i-th.")] = "1/1",
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Where finished runs are kept, one JSON object a line; docs/rows.jsonl or docs/development.jsonl, "
            "unless named. The page is beside it.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Only write the page.")] = False,
    on: On = "workers",
    address: Address = None,
    runs_dir: RunsDir = None,
) -> None:
    """Run what a study still lacks, then write results.md or development.md. What is in the rows is not run again."""
    from atesc_core.study import STUDIES, group_by_student, provide_teachers, write_development, write_page

    check_on(on, address)
    chosen = STUDIES[name]
    seed_counts: dict[str, int] = {name: seeds or chosen.seeds}
    share, rows = _slice(part), rows or chosen.rows
    if chosen.teachers is not None:
        provide_teachers(chosen.teachers, folder(runs_dir))
    try:
        if not table:
            planned = _runnable(chosen.plan(seed_counts[name]), folder(runs_dir))
            groups = group_by_student(planned, folder(runs_dir))[share]
            if on == "ray":
                _run_missing_on_ray(groups, rows, folder(runs_dir), chosen.images_from, address)
            else:
                _run_missing(groups, rows, folder(runs_dir), chosen.images_from)
    finally:
        if name == "development":
            print(write_development(rows, seed_counts, folder(runs_dir)))
        else:
            print(write_page(rows, seed_counts))


def _slice(part: str) -> slice:
    first, slash, parts = part.partition("/")
    if not (slash and first.isdecimal() and parts.isdecimal() and 1 <= int(first) <= int(parts)):
        raise ValueError(f"part: {part!r}: expected i/n with 1 ≤ i ≤ n, e.g. 1/2")
    return slice(int(first) - 1, None, int(parts))


def _runnable(cells: list[PlannedRun], runs_dir: Path) -> list[PlannedRun]:
    """The runs whose data and teacher are on this machine. Prints the commands for what is missing."""
    from atesc_core.study import missing_data

    lacking = missing_data(cells, runs_dir)
    if lacking:
        left_out = sum(cell.spec.teacher in lacking for cell in cells)
        print_message(f"{left_out} of {len(cells)} runs are left out. What they lack comes with:")
        for command in dict.fromkeys(command for commands in lacking.values() for command in commands):
            print_message(f"    {command}")
    return [cell for cell in cells if cell.spec.teacher not in lacking]


def _run_missing(runs: list[list[PlannedRun]], rows: Path, runs_dir: Path, images_from: Images) -> None:
    from atesc_core.study import expected_seconds, outcome_key, read_rows, run_and_measure

    with progress_bar("{task.fields[note]}") as progress:
        task = progress.add_task("", total=len(runs), note="")
        for number, cells in enumerate(runs):
            done = read_rows(rows, runs_dir)  # read again, because other processes add rows
            unfinished = [
                run for run in runs[number:] if any(outcome_key(cell.spec, images_from) not in done for cell in run)
            ]
            progress.update(task, completed=len(runs) - len(unfinished))
            missing = [cell for cell in cells if outcome_key(cell.spec, images_from) not in done]
            if not missing:
                continue
            seconds_left = [expected_seconds(run[0].spec, list(done.values())) for run in unfinished]
            on_epoch = partial(_show_progress, progress, task, missing[0], len(runs) - len(unfinished), seconds_left)
            on_epoch(0)
            made = run_and_measure([cell.spec for cell in missing], runs_dir, on_epoch, images_from)
            _append(missing, made, rows, progress)
            progress.update(task, completed=len(runs) - len(unfinished) + 1)


def _run_missing_on_ray(
    runs: list[list[PlannedRun]], rows: Path, runs_dir: Path, images_from: Images, address: str | None
) -> None:
    """As ``_run_missing``, with all runs at once on a cluster. Raises the first error when the others are done."""
    from atesc_core.runs.cluster import Cluster
    from atesc_core.study import measured_events, outcome_key, read_rows, run_and_measure

    done, errors = read_rows(rows, runs_dir), []
    missing = [[cell for cell in cells if outcome_key(cell.spec, images_from) not in done] for cells in runs]
    if not (missing := [cells for cells in missing if cells]):
        return
    finished: SimpleQueue[tuple[list[PlannedRun], list[dict[str, Any]] | Exception]] = SimpleQueue()
    shares = dict.fromkeys(range(len(missing)), 0.0)  # of each run that is done
    with Cluster(address) as cluster, progress_bar("{task.fields[note]}") as progress:
        cluster.check(cell.spec for cells in missing for cell in cells)
        task = progress.add_task("", total=len(missing), note="on Ray")

        def on_epoch(number: int, epoch: int) -> None:
            shares[number] = epoch / missing[number][0].spec.epochs
            progress.update(task, completed=sum(shares.values()))

        def compute(number: int) -> None:
            specs = [cell.spec for cell in missing[number]]
            try:
                teachers = cluster.teachers([spec.teacher for spec in specs], runs_dir)
                events = cluster.events_to_the_end(specs[0], partial(measured_events, specs, images_from), teachers)
                made = run_and_measure(specs, runs_dir, partial(on_epoch, number), images_from, events)
                finished.put((missing[number], made))
            except Exception as error:  # of this run: the others go on
                finished.put((missing[number], error))

        for number in shares:
            Thread(target=compute, args=(number,), daemon=True).start()
        for _ in missing:
            cells, made = finished.get()
            if isinstance(made, Exception):
                errors.append(made)
                progress.console.print(f"{_name(cells[0])}  failed: {escape(f'{type(made).__name__}: {made}')}")
                continue
            _append(cells, made, rows, progress)
    if errors:
        raise errors[0]


def _append(cells: list[PlannedRun], made: list[dict[str, Any]], rows: Path, progress: Progress) -> None:
    """Add the rows of a student to the file, and print each."""
    from atesc_core.study import append_row

    for cell, row in zip(cells, made, strict=True):
        append_row(row, rows)
        progress.console.print(f"{_name(cell)}  {metrics_text(row['metrics'])}  {row['seconds']:.0f} s")


def _show_progress(
    progress: Progress, task: TaskID, cell: PlannedRun, finished: int, seconds_left: list[float | None], epoch: int
) -> None:
    """Show progress. ``seconds_left``: expected seconds of this run and of each later run."""
    share = epoch / cell.spec.epochs
    estimates = [seconds for seconds in seconds_left if seconds is not None]
    eta = f"  {_duration(sum(estimates) - share * estimates[0])} left" if len(estimates) == len(seconds_left) else ""
    progress.update(
        task,
        description=f"run {finished + 1} of {progress.tasks[task].total}",
        completed=finished + share,
        note=f"{_name(cell)}  epoch {epoch}/{cell.spec.epochs}{eta}",
    )


def _name(cell: PlannedRun) -> str:
    return f"{cell.spec.teacher}  {cell.spec.synthesis.kind}  {cell.form}  seed {cell.spec.seed}"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
