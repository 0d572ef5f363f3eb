"""The lab's jobs without a browser: ``python -m atesc_core --help``.

Commands are thin: they read what was typed, call the core and print. What is heavy (torch, pandas) is
imported where it is needed, so that help comes at once.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from atesc_core.spec import PRESETS, RunSpec, SpecError, SplitSpec, from_preset, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from atesc_core.runs import Run, RunStore
    from atesc_core.teachers import Recognised, Teacher

LOOK_S = 0.2  # how often a followed run is looked at
STOP_S = 30.0  # how long Ctrl-C waits for the worker to finish its round
METRICS = {"iacc": "IAcc", "oacc": "OAcc", "olacc": "OLAcc", "asr": "ASR"}

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None,
                  pretty_exceptions_enable=False, help="See data-free distillation get trapped, and escape.")
teachers = typer.Typer(no_args_is_help=True, help="The teachers: shipped ones and your own.")
runs = typer.Typer(no_args_is_help=True, help="The runs so far.")
domains = typer.Typer(no_args_is_help=True, help="The domains: where images come from.")
app.add_typer(teachers, name="teachers")
app.add_typer(domains, name="domains")
app.add_typer(runs, name="runs")

class Images(StrEnum):
    id = "id"
    ood = "ood"
    synthetic = "synthetic"


RunsDir = Annotated[Path | None, typer.Option(
    help="Folder of the runs and of your own teachers; the app's, unless named.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="auto takes CUDA, then MPS, then CPU.")]
WeightsFile = Annotated[Path, typer.Argument(
    help="A .safetensors, .pt or .pth state dict, of this lab or as CMI, NAYER, NTLBench or TransNTL publish it.")]
Arch = Annotated[str | None, typer.Option(
    help="Its architecture; recognised from its keys and shapes, unless named.", show_default=False)]
Normalisation = Annotated[str | None, typer.Option(
    help="For a file that does not say: half, cifar10, cifar100, imagenet, or six numbers R,G,B,R,G,B: mean, then "
    "standard deviation. What is usual where the file comes from, unless named.", show_default=False)]
Settings = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", help="A setting, e.g. --set escape.weight=0.3; may be repeated.")]


def main() -> None:
    """Run the command line; what is wrong with what was typed becomes one line and exit status 2."""
    try:
        app()
    except Exception as error:
        from atesc_core.runs import StoreError

        if not isinstance(error, (ValueError, StoreError)):
            raise
        _say(f"error: {error}")
        sys.exit(2)


@teachers.command("list")
def list_teachers(as_json: AsJson = False, runs_dir: RunsDir = None) -> None:
    """List the teachers, with their accuracies."""
    from atesc_core import teachers as zoo

    cards = zoo.list_teachers(_folder(runs_dir))
    if as_json:
        print(json.dumps([card.model_dump(mode="json") for card in cards]))
        return
    table = Table("teacher", "kind", "setting", "pair", "architecture", "side", "parameters", "test accuracy, %")
    for card in cards:
        table.add_row(card.name, card.kind, card.setting, card.pair, card.arch, f"{card.image_side} px",
                      f"{card.parameters:,}", _percents(card.metrics))
    _show(table)


@teachers.command("train")
def train_teacher(name: Annotated[str, typer.Argument(help="A shipped teacher's name.")],
                  device: Device = "auto") -> None:
    """Train a shipped teacher anew and write its weights and card into the lab's assets."""
    from atesc_core.device import pick_device
    from atesc_core.teachers.recipes import RECIPES, train_shipped
    from atesc_core.teachers.zoo import SHIPPED

    epochs = RECIPES[name].epochs if name in RECIPES else None
    with _progress("{task.fields[note]}") as progress:
        task = progress.add_task(name, total=epochs, note="")
        for event in train_shipped(name, pick_device(device)):
            progress.update(task, completed=event.epoch, note=f"epoch {event.epoch}  loss {event.loss:.3f}")
    print(SHIPPED / f"{name}.safetensors")


@teachers.command("check")
def check_teacher(file: WeightsFile, arch: Arch = None, normalisation: Normalisation = None) -> None:
    """Say whether a file can be a teacher, and what it does not say itself. Nothing in it is executed."""
    from atesc_core.models import ARCHITECTURES
    from atesc_core.teachers import check_file, recognise

    name = arch or recognise(file).arch
    model = check_file(file, name, normalisation=normalisation)
    found = recognise(file)
    parameters = sum(values.numel() for values in model.parameters())
    print(f"{file.name}: {name}, {model.num_classes} classes, {parameters:,} parameters")
    print(f"recognised: {found.arch}, by the names of {found.source}")
    names = ", ".join(found.class_names) if found.class_names else "not in the file; the pair's, unless you name them"
    print(f"class names: {names}")
    mean, std = (" ".join(f"{value:g}" for value in part.flatten().tolist()) for part in (model.mean, model.std))
    print(f"normalisation: mean {mean}, std {std} ({_whence(found, normalisation)})")
    print(f"architecture: {ARCHITECTURES[name].description}")


@teachers.command("add")
def add_teacher(
    file: WeightsFile,
    name: Annotated[str, typer.Argument(help="Its name from now on: lower-case letters, digits, - and _.")],
    pair: Annotated[str, typer.Option(help="The pair of domains it was trained on; it is measured on it.")],
    kind: Annotated[Literal["NTL", "SL"], typer.Option(help="Non-transferable, or plainly supervised.")],
    arch: Arch = None,
    image_side: Annotated[int | None, typer.Option(
        min=8, max=256, help="Side of its images in pixels; the architecture's, unless named.",
        show_default=False)] = None,
    normalisation: Normalisation = None,
    classes: Annotated[str | None, typer.Option(
        metavar="A,B,...", help="Class names in the order of its outputs; the file's, else the pair's, unless named.",
        show_default=False)] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Check a file, measure it on its pair and add it to your teachers."""
    from atesc_core import teachers as zoo
    from atesc_core.models import ARCHITECTURES

    arch = arch or zoo.recognise(file).arch
    if image_side is None and arch in ARCHITECTURES:
        image_side = ARCHITECTURES[arch].image_side
    card = zoo.add_teacher(file, name, arch, kind, pair, image_side, _folder(runs_dir), normalisation,
                           tuple(word.strip() for word in classes.split(",")) if classes else None)
    print(f"{card.name}: {card.arch}, {card.image_side} px, {_percents(card.metrics)}")


@domains.command("list")
def list_domains(as_json: AsJson = False) -> None:
    """List the domains: which need no download, which are downloaded, which can be."""
    from atesc_core.domains import DOMAINS, data_dir

    if as_json:
        print(json.dumps([{"name": name, "about": source.about, "classes": source.classes, "status": source.status,
                           "megabytes": source.megabytes} for name, source in DOMAINS.items()]))
        return
    table = Table("domain", "images of", "classes", "status", "download")
    for name, source in DOMAINS.items():
        table.add_row(name, source.about, str(len(source.classes)), source.status,
                      f"{source.megabytes:,} MB" if source.needs else "")
    _show(table)
    _say(f"Downloads are kept in {data_dir()}. Your own images are a domain too: folder:/path, one sub-folder a class.")


@domains.command("get")
def get_domain(name: Annotated[str, typer.Argument(help="A domain's name, as in `domains list`.")]) -> None:
    """Download a domain. What is already there is not downloaded again."""
    from atesc_core.domains import DOMAINS, data_dir, fetch_domain

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}
        for part in fetch_domain(name):
            if part.file not in tasks:
                tasks[part.file] = progress.add_task(part.file)
            progress.update(tasks[part.file], completed=part.bytes, total=part.total)
    where = f"in {data_dir()}" if DOMAINS[name].needs else "needs no download"
    _say(f"{name}: {where}")


@app.command()
def distill(
    teacher: Annotated[str, typer.Option(help="Name of the teacher, as in `teachers list`.")],
    preset: Annotated[str, typer.Option(help=f"Settings to start from: {', '.join(PRESETS)}.")] = "quick",
    synthesizer: Annotated[Literal["dfq", "cmi", "nayer"], typer.Option(
        help="How images are made: by one generator, a new one a call, or labels through a noisy layer.")] = "dfq",
    escape: Annotated[Literal["none", "ckd", "atesc"] | None, typer.Option(
        help="none: plain distillation; ckd: learn from fragile images; atesc: and forget robust ones.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random in the run.")] = None,
    settings: Settings = None,
    runs_dir: RunsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Distil a student, waiting in line with the runs of the app, which shows this one too."""
    from atesc_core.runs import RunStore
    from atesc_core.synthesis import batchnorm_notice

    typed = {"synthesis.kind": synthesizer, "escape.kind": escape, "seed": seed}
    spec = from_preset(preset, teacher, **(
        {name: value for name, value in typed.items() if value is not None} | _settings(settings)))
    store = RunStore(_folder(runs_dir))
    if notice := batchnorm_notice(_check_names(spec, store).model, spec.synthesis.kind):
        _say(f"note: {notice}")
    run_id = store.create(spec)
    try:
        run = _follow(store, run_id)
    except KeyboardInterrupt:
        run = _stop(store, run_id)
    _report(run, store.epochs(run_id), as_json)


@runs.command("list")
def list_runs(as_json: AsJson = False, runs_dir: RunsDir = None,
              limit: Annotated[int | None, typer.Option(min=1, help="Only the newest.", show_default=False)] = None,
              ) -> None:
    """List the runs, newest first."""
    store = _store(runs_dir)
    found = store.list(limit=limit)
    if as_json:
        print(json.dumps([_as_json(run) for run in found]))
        return
    table = Table("run", "teacher", "method", "escape", "seed", "status", "epoch", "student, %", "started")
    for run in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)) if run.started else ""
        table.add_row(run.id, run.spec.teacher, run.spec.synthesis.kind, run.spec.escape.kind, str(run.spec.seed),
                      run.status, f"{run.epoch}/{run.epochs}", _percents(run.metrics), when)
    _show(table)


@runs.command("show")
def show_run(run_id: Annotated[str, typer.Argument(metavar="ID")], runs_dir: RunsDir = None) -> None:
    """Show a run: its settings, its accuracies by epoch, what happened to it."""
    store = _store(runs_dir)
    run = store.get(run_id)
    print(f"run: {run.id}\nstatus: {run.status}\nepoch: {run.epoch} of {run.epochs}\ndevice: {run.device or '-'}")
    if run.error:
        print(f"error: {run.error}")
    print("\n" + run.spec.to_yaml())
    epochs = store.epochs(run_id).drop(columns="time")
    _show(_table(epochs.rename(columns=METRICS)))
    history = store.history(run_id)
    history["time"] = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) for at in history["time"]]
    _show(_table(history))


@app.command()
def score(
    teacher: Annotated[str, typer.Option(help="Name of the teacher, as in `teachers list`.")],
    domain: Annotated[list[Images], typer.Option(
        help="Which images: the pair's test images, or a run's synthetic ones; may be repeated.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    run: Annotated[str | None, typer.Option(help="The run whose synthetic images to score.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Of that run; its last one, unless named.")] = None,
    settings: Annotated[list[str] | None, typer.Option(
        "--set", metavar="KEY=VALUE", help="A setting of the split, e.g. --set steps=20; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the attack's random start.")] = 0,
    device: Device = "auto",
    runs_dir: RunsDir = None,
) -> None:
    """Write how robust the teacher is on each image: index, domain, label, teacher_class, confidence, scores."""
    import pandas as pd

    from atesc_core.device import pick_device
    from atesc_core.teachers import load_teacher

    if not out.parent.is_dir():
        raise ValueError(f"out: {str(out)!r}: the folder {str(out.parent)!r} does not exist")
    if Images.synthetic in domain and run is None:
        raise ValueError("run: the domain 'synthetic' needs --run ID")
    loaded = load_teacher(teacher, _folder(runs_dir))
    split = parse(SplitSpec, SplitSpec().model_dump() | _settings(settings))
    frames = []
    for name in dict.fromkeys(domain):
        images, labels = _synthetic(runs_dir, run, epoch) if name is Images.synthetic else _real(loaded, name)
        frames.append(_scored(loaded, name, images, labels, split, seed, pick_device(device)))
    frame = pd.concat(frames)
    frame.to_csv(out, index=False)
    _say(f"{out}: {len(frame):,} images")


@app.command()
def worker(device: Device = "auto", runs_dir: RunsDir = None) -> None:
    """Run what is queued, here and now, until the queue is empty. The app and `distill` start one themselves."""
    from atesc_core.runs.worker import serve

    serve(_folder(runs_dir), device)


def _whence(found: Recognised, typed: str | None) -> str:
    """Where a checked file's normalisation comes from."""
    if found.says_normalisation:
        return "of the file"
    return "as typed" if typed else f"not in the file; {found.normalisation}, unless --normalisation says other"


# what was typed


def _settings(typed: list[str] | None) -> dict[str, Any]:
    """``key=value`` words as dotted fields; values are YAML scalars. Raises SpecError."""
    changes = {}
    for word in typed or []:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise SpecError(f"--set: {word!r}: expected KEY=VALUE, e.g. escape.weight=0.3")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = [text]
        if isinstance(value, (list, dict)):
            raise SpecError(f"{key}: {text!r}: expected a number, a word, true or false")
        changes[key] = value
    return changes


def _check_names(spec: RunSpec, store: RunStore) -> Teacher:
    """Refuse at once what the worker would refuse in line; returns the teacher."""
    from atesc_core.device import pick_device
    from atesc_core.models import ARCHITECTURES
    from atesc_core.teachers import load_teacher

    teacher = load_teacher(spec.teacher, store.runs_dir)
    pick_device(spec.device)
    if spec.student not in ARCHITECTURES:
        raise SpecError(f"student: {spec.student!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    return teacher


def _folder(runs_dir: Path | None) -> Path:
    from atesc_core.runs import default_runs_dir

    return runs_dir if runs_dir is not None else default_runs_dir()


def _store(runs_dir: Path | None) -> RunStore:
    from atesc_core.runs import RunStore

    return RunStore(_folder(runs_dir))


# a run, followed


def _follow(store: RunStore, run_id: str) -> Run:
    """Show the run's progress until it is over."""
    from atesc_core.runs import ensure_worker

    with _progress("{task.fields[note]}") as progress:
        task = progress.add_task(run_id, total=1, note="")
        while True:
            run = store.get(run_id)
            progress.update(task, completed=run.progress, note=_note(run))
            if run.status not in ("queued", "running", "paused"):
                return run
            ensure_worker(store.runs_dir)
            time.sleep(LOOK_S)


def _stop(store: RunStore, run_id: str) -> Run:
    """After Ctrl-C: the run is stopped, what it logged is kept."""
    _say("stopping after this round ...")
    store.stop(run_id)
    end = time.monotonic() + STOP_S
    while (run := store.get(run_id)).active and time.monotonic() < end:
        time.sleep(LOOK_S)
    return run


def _report(run: Run, epochs: pd.DataFrame, as_json: bool) -> None:
    """The last epoch's metrics on stdout; exit status 1 where the run did not come to its end."""
    last = {} if epochs.empty else epochs.iloc[-1].drop(["images", "time"]).to_dict()
    if as_json and last:
        print(json.dumps({"run_id": run.id, **last, "epoch": int(last["epoch"])}))
    elif last:
        print(f"run {run.id}, epoch {int(last['epoch'])} of {run.epochs}: {_percents(last)}")
    if run.status != "done":
        _say(f"error: run {run.id} {run.status}" + (f": {run.error}" if run.error else
             "; what it logged is kept, and the app can resume it"))
        raise typer.Exit(1)


def _note(run: Run) -> str:
    if run.status == "queued":
        return "starting" if run.place_in_line == 1 else f"in line, place {run.place_in_line}"
    words = [run.status, f"epoch {run.epoch}/{run.epochs}", _percents(run.metrics)]
    if run.images_per_s:
        words.append(f"{run.images_per_s:,.0f} img/s")
    if run.eta_s is not None:
        words.append(f"{run.eta_s:.0f} s left")
    return "  ".join(word for word in words if word)


def _as_json(run: Run) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(run) | {"spec": run.spec.model_dump(mode="json")}


# images, scored


def _real(teacher: Teacher, domain: Images):
    """Test images of the teacher's own pair, (N, 3, s, s) in [0, 1], and their true labels."""
    from atesc_core.domains import load_pair

    data = load_pair(teacher.card.pair, teacher.card.image_side)
    test = (data.id if domain is Images.id else data.ood).test
    return test.images, test.labels.tolist()


def _synthetic(runs_dir: Path | None, run_id: str, epoch: int | None):
    """A run's images at the end of an epoch, (N, 3, s, s) in [0, 1]; they have no labels."""
    import torch

    from atesc_core.runs import StoreError

    store = _store(runs_dir)
    store.get(run_id)
    kept = store.snapshots(run_id)
    if epoch is None and not kept:
        raise StoreError(f"run: {run_id} has no synthetic images yet; they are kept after each epoch")
    snapshot = store.snapshot(run_id, kept[-1] if epoch is None else epoch)
    return torch.from_numpy(snapshot.images).float() / 255, [None] * len(snapshot.images)


def _scored(teacher: Teacher, domain: Images, images, labels: list[int | None], split: SplitSpec, seed: int,
            device) -> pd.DataFrame:
    """A row an image."""
    import pandas as pd
    import torch

    from atesc_core.distillation.evaluation import predict
    from atesc_core.robustness.scores import all_scores

    model, images = teacher.model.to(device), images.to(device)
    if images.shape[-1] != teacher.card.image_side:
        raise ValueError(f"run: its images are {images.shape[-1]} px; the teacher takes {teacher.card.image_side} px")
    confidence, teacher_class = predict(model, images).softmax(1).max(1)
    scores = all_scores(model, images, split, torch.Generator(device).manual_seed(seed))
    return pd.DataFrame({
        "index": range(len(images)), "domain": domain.value, "label": pd.array(labels, dtype="Int64"),
        "teacher_class": teacher_class.cpu(), "confidence": confidence.cpu(),
        **{name: values.cpu() for name, values in scores.items()}})


# printing


def _say(text: str) -> None:
    """To a person, on stderr; stdout is for results."""
    print(text, file=sys.stderr)


def _show(table: Table) -> None:
    """As wide as the terminal; as wide as it needs in a pipe."""
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table)


def _table(frame: pd.DataFrame) -> Table:
    table = Table(*frame.columns)
    for row in frame.itertuples(index=False):
        table.add_row(*("" if value is None or value != value else f"{value:.1f}" if isinstance(value, float)
                        else str(value) for value in row))
    return table


def _percents(metrics: dict[str, float]) -> str:
    return "  ".join(f"{METRICS[name]} {value:.1f}" for name, value in metrics.items() if name in METRICS)


@contextmanager
def _progress(note: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(note))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress
