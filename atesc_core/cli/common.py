"""Shared code of the commands: options, settings in the form KEY=VALUE, printing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from atesc_core.errors import SpecError
from atesc_core.specs.text import parse_yaml
from atesc_core.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    import pandas as pd

    from atesc_core.runs import RunStore

RunsDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the runs and of your own teachers; the app's, unless named.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
On = Annotated[
    Literal["workers", "ray"],
    typer.Option(help="workers: on this machine; ray: on a Ray cluster, and this process collects what the runs log."),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="With --on ray: the cluster's, as of `ray start`; unless given, $RAY_ADDRESS, a cluster that runs on this "
        "machine, or else a new one on this machine alone.",
        show_default=False,
    ),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="auto takes CUDA, then MPS, then CPU.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. --set escape.weight=0.3; may be repeated."),
]


def check_on(on: Literal["workers", "ray"], address: str | None) -> None:
    """Raise ValueError if there is an address, but nothing runs on a cluster."""
    if address is not None and on != "ray":
        raise ValueError(f"--address: {address!r}; expected with --on ray only")


def typed_settings(typed: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE arguments as dotted fields with their values, which are YAML scalars. Raises SpecError."""
    changes = {}
    for word in typed or []:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise SpecError(f"--set: {word!r}: expected KEY=VALUE, e.g. escape.weight=0.3")
        try:
            value = parse_yaml(text, key)
        except SpecError:
            value = [text]
        if isinstance(value, (list, dict)):
            raise SpecError(f"{key}: {text!r}: expected a number, a word, true or false")
        changes[key] = value
    return changes


def all_settings(options: dict[str, Any], typed: list[str] | None) -> dict[str, Any]:
    """Field -> value, of the options that have a value; settings from ``--set`` override them."""
    return {name: value for name, value in options.items() if value is not None} | typed_settings(typed)


def folder(runs_dir: Path | None) -> Path:
    """The folder of the runs; that of the app unless given."""
    from atesc_core.runs import default_runs_dir

    return runs_dir if runs_dir is not None else default_runs_dir()


def open_store(runs_dir: Path | None) -> RunStore:
    """The store in that folder. Raises StoreError."""
    from atesc_core.runs import RunStore

    return RunStore(folder(runs_dir))


def print_message(text: str) -> None:
    """Print a message for the user on stderr; stdout is for results."""
    print(text, file=sys.stderr)


def print_table(table: Table) -> None:
    """Print a table with the width of the terminal; in a pipe, with the width that it needs."""
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table)


def as_table(frame: pd.DataFrame) -> Table:
    """A data frame as a table; floats with one decimal, missing values empty."""
    table = Table(*frame.columns)
    for row in frame.itertuples(index=False):
        table.add_row(
            *(
                "" if value is None or value != value else f"{value:.1f}" if isinstance(value, float) else str(value)
                for value in row
            )
        )
    return table


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line, such as ``IAcc 71.3  OAcc 10.0``; other keys are left out."""
    return "  ".join(f"{METRIC_NAMES[name]} {value:.1f}" for name, value in metrics.items() if name in METRIC_NAMES)


@contextmanager
def progress_bar(note: str) -> Iterator[Progress]:
    """A progress bar on stderr; ``note``: a rich template for the text after it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(note))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress
