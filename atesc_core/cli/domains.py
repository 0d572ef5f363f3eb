"""``domains list | get``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from atesc_core.cli.common import AsJson, print_message, print_table, progress_bar
from atesc_core.domains import DOMAINS, data_dir, fetch_domain
from atesc_core.domains.folder import is_folder, prepare_folder

commands = typer.Typer(no_args_is_help=True, help="The domains: where images come from.")


@commands.command("list")
def list_domains(as_json: AsJson = False) -> None:
    """List the domains: which need no download, which are downloaded, which can be."""
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "name": name,
                        "about": source.about,
                        "classes": source.classes,
                        "status": source.status,
                        "megabytes": source.megabytes,
                    }
                    for name, source in DOMAINS.items()
                ]
            )
        )
        return
    table = Table("domain", "images of", "classes", "status", "download")
    for name, source in DOMAINS.items():
        table.add_row(
            name,
            source.about,
            str(len(source.classes)),
            source.status,
            f"{source.megabytes:,} MB" if source.needs else "",
        )
    print_table(table)
    print_message(
        f"Downloads are kept in {data_dir()}. Your own images are a domain too: folder:/path, one sub-folder a class."
    )


@commands.command("get")
def get_domain(
    name: Annotated[str, typer.Argument(help="A domain's name, as in `domains list`, or folder:/path.")],
) -> None:
    """Download a domain, or check a folder of images. What is already there is not downloaded again."""
    if is_folder(name):
        _check_folder(name)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}
        for part in fetch_domain(name):
            if part.file not in tasks:
                tasks[part.file] = progress.add_task(part.file)
            progress.update(tasks[part.file], completed=part.bytes, total=part.total)
    where = f"in {data_dir()}" if DOMAINS[name].needs else "needs no download"
    print_message(f"{name}: {where}")


def _check_folder(name: str) -> None:
    with progress_bar("images {task.completed} of {task.total}") as progress:
        task = progress.add_task(name, total=None)
        folder = prepare_folder(name, lambda read, total: progress.update(task, completed=read, total=total))
    about = f"; {folder.about}" if folder.about else ""
    print_message(f"{name}: {folder.images:,} images of {len(folder.classes)} classes{about}")
