"""``study``: the runs of the evidence, and the page made from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atesc_core.cli.common import RunsDir, folder, percents, progress_bar, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from atesc_core.study import Cell


def study(
    name: Annotated[Literal["offline", "escape", "paper"], typer.Argument(
        help="offline: the shipped teachers, every synthesizer, the quick preset; escape: which part of the escape "
        "does it; paper: the paper's pairs, the full preset.")],
    seeds: Annotated[int | None, typer.Option(
        min=1, max=100, help="Seeds, from 0; 5 for offline, else 3, unless named.", show_default=False)] = None,
    part: Annotated[str, typer.Option(help="i/n: of n processes at once this is the i-th.")] = "1/1",
    rows: Annotated[Path | None, typer.Option(
        help="Where finished runs are kept, one JSON object a line; docs/rows.jsonl, unless named. The page is beside "
        "it.", show_default=False)] = None,
    table: Annotated[bool, typer.Option("--table", help="Only write the page.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Run what the evidence still lacks, then write results.md. What is in the rows is not run again."""
    from atesc_core.study import ROWS, SEEDS, STUDIES, write_page

    asked = {name: seeds or SEEDS[name]}
    cells = STUDIES[name](asked[name])[_slice(part)]
    rows = rows or ROWS
    try:
        if not table:
            _run(_possible(cells, folder(runs_dir)), rows, folder(runs_dir))
    finally:
        print(write_page(rows, asked))


def _slice(part: str) -> slice:
    first, slash, parts = part.partition("/")
    if not (slash and first.isdecimal() and parts.isdecimal() and 1 <= int(first) <= int(parts)):
        raise ValueError(f"part: {part!r}: expected i/n with 1 ≤ i ≤ n, e.g. 1/2")
    return slice(int(first) - 1, None, int(parts))


def _possible(cells: list[Cell], runs_dir: Path) -> list[Cell]:
    """The cells whose data and teacher are here; what the others lack is said, and how to get it."""
    from atesc_core.study import missing

    lacking = missing(cells, runs_dir)
    if lacking:
        left_out = sum(cell.spec.teacher in lacking for cell in cells)
        say(f"{left_out} of {len(cells)} runs are left out. What they lack comes with:")
        for command in dict.fromkeys(command for commands in lacking.values() for command in commands):
            say(f"    {command}")
    return [cell for cell in cells if cell.spec.teacher not in lacking]


def _run(cells: list[Cell], rows: Path, runs_dir: Path) -> None:
    import torch

    from atesc_core.study import expected_seconds, keep, key, measure, measured

    torch.set_num_threads(1)  # numbers do not depend on how many cores there are
    with progress_bar("{task.fields[note]}") as progress:
        task = progress.add_task("", total=len(cells), note="")
        for number, cell in enumerate(cells):
            done = measured(rows)  # anew: other processes add to it
            left = [other.spec for other in cells[number:] if key(other.spec) not in done]
            progress.update(task, completed=len(cells) - len(left))
            if key(cell.spec) in done:
                continue
            times = [expected_seconds(spec, list(done.values())) for spec in left]
            tell = partial(_tell, progress, task, cell, len(cells) - len(left), times)
            tell(0)
            row = measure(cell.spec, runs_dir, tell)
            keep(row, rows)
            progress.update(task, completed=len(cells) - len(left) + 1)
            progress.console.print(f"{_name(cell)}  {percents(row['metrics'])}  {row['seconds']:.0f} s")


def _tell(progress: Progress, task: TaskID, cell: Cell, finished: int, times: list[float | None], epoch: int) -> None:
    """``times``: seconds expected of this run and of those after it."""
    share = epoch / cell.spec.epochs
    eta = "" if None in times else f"  {_duration(sum(times) - share * times[0])} left"
    progress.update(task, description=f"run {finished + 1} of {progress.tasks[task].total}", completed=finished + share,
                    note=f"{_name(cell)}  epoch {epoch}/{cell.spec.epochs}{eta}")


def _name(cell: Cell) -> str:
    return f"{cell.spec.teacher}  {cell.spec.synthesis.kind}  {cell.form}  seed {cell.spec.seed}"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
