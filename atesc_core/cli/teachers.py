"""``teachers list | train | check | add | delete``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from atesc_core import teachers
from atesc_core.cli.common import (
    AsJson,
    Device,
    RunsDir,
    all_settings,
    folder,
    metrics_text,
    open_store,
    print_message,
    print_table,
    progress_bar,
)
from atesc_core.cli.runs import run_to_its_end
from atesc_core.domains import find_pair
from atesc_core.errors import TeacherError
from atesc_core.specs.teacher import ABOUT_PRESETS

if TYPE_CHECKING:
    from atesc_core.models import Classifier
    from atesc_core.teachers.staging import StagedTeacher

commands = typer.Typer(no_args_is_help=True, help="The teachers: shipped ones and your own.")

WeightsFile = Annotated[
    Path,
    typer.Argument(
        help="Weights in a .safetensors, .pt, .pth, .pth.tar, .ckpt or .bin file, of this lab or as CMI, NAYER, "
        "NTLBench or TransNTL publish them."
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(help="Its architecture; recognised from its keys and shapes, unless named.", show_default=False),
]
Normalisation = Annotated[
    str | None,
    typer.Option(
        help="For a file that does not say: half, cifar10, cifar100, imagenet, or six numbers R,G,B,R,G,B: mean, then "
        "standard deviation. What is usual where the file comes from, unless named.",
        show_default=False,
    ),
]


@commands.command("list")
def list_teachers(as_json: AsJson = False, runs_dir: RunsDir = None) -> None:
    """List the teachers, with their accuracies."""
    cards = teachers.list_teachers(folder(runs_dir))
    for path, why in teachers.damaged_cards(folder(runs_dir)).items():
        print_message(f"note: {path} is left out: {why}")
    if as_json:
        print(json.dumps([card.model_dump(mode="json") for card in cards]))
        return
    table = Table("teacher", "kind", "setting", "pair", "architecture", "side", "parameters", "test accuracy, %")
    for card in cards:
        table.add_row(
            card.name,
            card.kind,
            card.setting,
            card.pair,
            card.arch,
            f"{card.image_side} px",
            f"{card.parameters:,}",
            metrics_text(card.metrics),
        )
    print_table(table)


@commands.command("train")
def train_teacher(
    name: Annotated[str, typer.Argument(help="A shipped teacher's name; with --pair, a new one of your own.")],
    pair: Annotated[
        str | None,
        typer.Option(
            help="The pair of domains of a teacher of your own, e.g. mnistm-mnist, or "
            "'open mnistm folder:/my/images 0'.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        Literal["sl", "tntl", "cuti"] | None,
        typer.Option(
            help="sl: ID only, by plain supervision; tntl, cuti (close-set): and to fail on OOD; tntl unless named.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="; ".join(f"{name}: {about}" for name, about in ABOUT_PRESETS.items()) + ". quick unless named.",
            show_default=False,
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture; the preset's, unless named.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. --set epochs=30; may be repeated."),
    ] = None,
    device: Device = "auto",
    runs_dir: RunsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Train a teacher of your own, waiting in line with the runs of the app, which shows it too.

    Without --pair: train a shipped one anew, here and now, and write its weights and card into the lab's assets.
    """
    if pair is not None:
        _train_own(
            name,
            pair,
            method or "tntl",
            preset or "quick",
            all_settings({"arch": arch, "device": device}, settings),
            folder(runs_dir),
            as_json,
        )
    elif method or preset or arch or settings:
        raise ValueError("pair: a teacher of your own needs --pair; a shipped one takes no settings")
    else:
        _train_shipped(name, device)


def _train_own(
    name: str, pair: str, method: str, preset: str, changes: dict[str, Any], runs_dir: Path, as_json: bool
) -> None:
    from atesc_core.domains import find_pair, pair_warnings
    from atesc_core.runs import RunStore
    from atesc_core.teachers import recipes, training

    spec = recipes.from_preset(preset, name, pair, method, **changes)
    store = RunStore(runs_dir)
    training.check_spec(spec, recipes.taken_names(runs_dir) | store.teachers_in_training())
    for warning in pair_warnings(find_pair(spec.pair)):
        print_message(f"note: {warning}")
    run_to_its_end(store, spec, as_json)


def _train_shipped(name: str, device: str) -> None:
    from atesc_core.device import pick_device
    from atesc_core.teachers.cards import SHIPPED
    from atesc_core.teachers.recipes import RECIPES
    from atesc_core.teachers.training import train_shipped
    from atesc_core.training.events import EpochDone

    events = train_shipped(name, pick_device(device))
    with progress_bar("{task.fields[note]}") as progress:
        task = progress.add_task(name, total=RECIPES[name].epochs, note="")
        for event in events:
            if isinstance(event, EpochDone):
                progress.update(task, completed=event.epoch, note=f"epoch {event.epoch}  {metrics_text(event.metrics)}")
    print(SHIPPED / f"{name}.safetensors")


@commands.command("check")
def check_teacher(file: WeightsFile, arch: Arch = None, normalisation: Normalisation = None) -> None:
    """Say whether a file can be a teacher, and what it does not say itself. Nothing in it is executed."""
    from atesc_core.models import ARCHITECTURES
    from atesc_core.teachers.staging import StagedTeacher

    staged = StagedTeacher(file)
    model = staged.read(arch, normalisation)
    recognised = staged.recognised
    if recognised is None:
        raise TeacherError(f"{file.name}: not recognised")
    name = arch or recognised.arch or ""
    parameters = sum(values.numel() for values in model.parameters())
    print(f"{file.name}: {name}, {model.num_classes} classes, {parameters:,} parameters")
    _print_origin(staged, model, normalisation, recognised.normalisation())
    print(f"class names: {', '.join(recognised.class_names or ()) or 'not in the file; the ones of its pair'}")
    print(f"architecture: {ARCHITECTURES[name].description}")


def _print_origin(staged: StagedTeacher, model: Classifier, typed: str | None, usual: str) -> None:
    """Print what was recognised in a file, and where its normalisation comes from.

    Args:
        staged: The file.
        model: The classifier that was read from it.
        typed: The value of --normalisation.
        usual: The normalisation that is taken for a file without one.
    """
    recognised, listing = staged.recognised, staged.listing
    if recognised is not None:
        print(f"recognised: {' or '.join(recognised.architectures)}, by the names of {recognised.source}")
    if listing is not None and listing.entry_notice:
        print(f"weights: {listing.entry_notice}")
    mean, std = (
        " ".join(f"{value:g}" for value in model.get_buffer(part).flatten().tolist()) for part in ("mean", "std")
    )
    if recognised is not None and recognised.says_normalisation:
        origin = "of the file"
    else:
        origin = "as typed" if typed else f"not in the file; {usual}, unless --normalisation says other"
    print(f"normalisation: mean {mean}, std {std} ({origin})")


@commands.command("add")
def add_teacher(
    file: WeightsFile,
    name: Annotated[str, typer.Argument(help="Its name from now on: lower-case letters, digits, - and _.")],
    pair: Annotated[str, typer.Option(help="The pair of domains it was trained on; it is measured on it.")],
    kind: Annotated[Literal["NTL", "SL"], typer.Option(help="Non-transferable, or plainly supervised.")],
    arch: Arch = None,
    image_side: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=256,
            help="Side of its images in pixels; a student's own, else the architecture's, unless named.",
            show_default=False,
        ),
    ] = None,
    normalisation: Normalisation = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Class names in the order of its outputs; the file's, else the pair's, unless named.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Check a file, measure it on its pair and add it to your teachers."""
    from atesc_core.teachers.staging import StagedTeacher, require_new_name

    require_new_name(name, folder(runs_dir))
    class_names = tuple(word.strip() for word in classes.split(",")) if classes else None
    staged = StagedTeacher(file)
    checked = staged.check(kind, pair, arch, image_side, normalisation, class_names)
    card = checked.add(name, folder(runs_dir))
    recognised = staged.recognised
    usual = recognised.normalisation(find_pair(pair).id) if recognised else ""
    _print_origin(staged, checked.model, normalisation, usual)
    if checked.reordered:
        print("outputs: put into the order of the pair's classes, by their names")
    elif class_names is None and not (recognised and recognised.class_names):
        print(f"class names: not in the file; taken from {pair}: {', '.join(card.class_names)}")
    print(f"{card.name}: {card.arch}, {card.image_side} px, {metrics_text(card.metrics)}")
    for warning in checked.warnings:
        print(f"Warning: {warning}", file=sys.stderr)


@commands.command("delete")
def delete_teacher(
    name: Annotated[str, typer.Argument(help="Its name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Delete a teacher of your own, its weights included. No run may use it: delete those first."""
    store = open_store(runs_dir)
    if not yes:
        typer.confirm(f"Delete the teacher {name}, its weights included?", abort=True)
    store.delete_teacher(name)
    print(f"deleted: {name}")
