"""The lab without a browser: ``atesc --help``.

Commands are thin: they read the arguments, call the core and print. Slow imports (torch, pandas) are inside
functions, so that help appears at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from atesc_core.cli import domains, figure, recording, runs, score, study, sweeps, teachers, trials
from atesc_core.cli.common import print_message
from atesc_core.version import lab_version

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (runs.distill, score.score, figure.figure, study.study, runs.worker):
    app.command()(command)
app.command("sweep")(sweeps.sweep_settings)
app.command("repeat")(sweeps.repeat)
app.command("try")(trials.try_threshold)
for group in (teachers, domains, runs, recording):
    app.add_typer(group.commands, name=group.__name__.rpartition(".")[2])


def _print_version(requested: bool) -> None:
    if requested:
        print(lab_version())
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help=("The release and the commit, then exit.")
        ),
    ] = False,
) -> None:
    """See data-free distillation get trapped, and escape."""


def main() -> None:
    """Run the command line. An error in the arguments becomes one line and exit status 2."""
    try:
        app()
    except Exception as error:
        from atesc_core.errors import StoreError

        if not isinstance(error, (ValueError, StoreError)):
            raise
        print_message(f"error: {error}")
        sys.exit(2)
