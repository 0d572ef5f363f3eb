"""``recording make | story | show``: runs as one small file that any lab replays without computing anything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atesc_core.cli.common import (
    RunsDir,
    Settings,
    folder,
    metrics_text,
    open_store,
    print_message,
    progress_bar,
    typed_settings,
)

if TYPE_CHECKING:
    from atesc_core.recording import RecordedRun, Recording
    from atesc_core.runs import DistillationRun, RunStore

SHIPPED = Path("assets/recordings/story.atesc")
IMAGES_HELP = "Synthetic images kept of an epoch, at most."

commands = typer.Typer(no_args_is_help=True, help="Runs as small files, to be replayed.")


@commands.command("make")
def make_recording(
    run: Annotated[list[str], typer.Option(help="The run's id, as in `runs list`; may be repeated.")],
    out: Annotated[Path, typer.Option(help="The file to write, e.g. lesson.atesc.")],
    title: Annotated[str, typer.Option(help="What the replay is called.")] = "",
    images: Annotated[int, typer.Option(min=1, max=512, help=IMAGES_HELP)] = 96,
    runs_dir: RunsDir = None,
) -> None:
    """Record runs as they now stand. The four students of a story get its scenes too."""
    _check_parent(out)
    store = open_store(runs_dir)
    _write_recording(
        store,
        [store.get_distillation(run_id) for run_id in run],
        out,
        title,
        images,
        " ".join(["atesc recording make", *(f"--run {run_id}" for run_id in run)]),
    )


@commands.command("story")
def make_story(
    setting: Annotated[str, typer.Option(help="open, backdoor or close.")] = "open",
    out: Annotated[Path, typer.Option(help="The file to write; the default is the one that the app ships.")] = SHIPPED,
    images: Annotated[int, typer.Option(min=1, max=512, help=IMAGES_HELP)] = 96,
    settings: Settings = None,
    runs_dir: RunsDir = None,
) -> None:
    """Run the story's four students with the quick preset, and record them: what *Play the story* plays."""
    from atesc_core.recording.story import playable_settings, queue_story, story_specs
    from atesc_core.teachers import list_teachers

    out.parent.mkdir(parents=True, exist_ok=True)
    teachers = playable_settings(list_teachers(folder(runs_dir)))
    if setting not in teachers:
        raise ValueError(
            f"setting: {setting!r}: expected one of {', '.join(teachers)}, which have an NTL and an SL "
            "teacher of one pair"
        )
    specs = story_specs(teachers[setting], **typed_settings(settings))
    store = open_store(runs_dir)
    runs = _run_all(store, list(queue_story(store, specs).values()))
    _write_recording(store, runs, out, "The story", images, f"atesc recording story --setting {setting}")


@commands.command("show")
def show_recording(file: Annotated[Path, typer.Argument(help="A recording.")]) -> None:
    """Check a recording, and say what it holds."""
    from atesc_core.recording import load

    recording = load(file)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(recording.manifest.created))
    print(f"{recording.manifest.title}: {created}, {recording.seconds:.0f} s, {file.stat().st_size / 1e6:.2f} MB")
    for run in recording.manifest.runs:
        print(f"  {_summary(run)}")
    scenes = [name for name in ("border", "first", "batchnorm") if getattr(recording.manifest, name)]
    if scenes:
        print(f"  scenes: {', '.join(scenes)}")


def _summary(run: RecordedRun) -> str:
    last = (
        metrics_text({str(name): value for name, value in run.epochs[-1].metrics.items()}) if run.epochs else "no epoch"
    )
    return f"{run.run}  {run.label}  {run.spec.teacher}  {len(run.epochs)} epochs  {last}"


def _check_parent(out: Path) -> None:
    """Raises ValueError if the folder of ``out`` does not exist."""
    if not out.parent.is_dir():
        raise ValueError(f"out: {str(out)!r}: the folder {str(out.parent)!r} does not exist")


def _write_recording(
    store: RunStore, runs: list[DistillationRun], out: Path, title: str, images: int, command: str
) -> None:
    from atesc_core.recording import record, save
    from atesc_core.teachers import list_teachers

    cards = {card.name: card for card in list_teachers(store.runs_dir)}
    kinds = {name: card.kind for name, card in cards.items()}
    recording = record(store, [run.id for run in runs], cards, title, command, _scenes(store, runs, kinds), images)
    save(recording, out)
    print_message(
        f"{out}: {len(runs)} run{'s' * (len(runs) > 1)}, {recording.seconds:.0f} s, {out.stat().st_size / 1e6:.2f} MB"
    )


def _scenes(store: RunStore, runs: list[DistillationRun], kinds: Mapping[str, str]) -> Recording | None:
    """The scenes of the story of these runs; None if they are not the four students of a story."""
    from atesc_core.recording.story import STORY_ROLES, story_role

    by_role = {story_role(kinds.get(run.spec.teacher, ""), run.spec.escape.kind): run for run in runs}
    if not STORY_ROLES.keys() <= by_role.keys():
        return None
    from atesc_core.recording.scenes import record_scenes

    with progress_bar("") as progress:
        task = progress.add_task("scenes", total=1)
        return record_scenes(
            by_role["plain"].spec,
            by_role["control"].spec.teacher,
            store.runs_dir,
            lambda share, message: progress.update(task, completed=share, description=message),
        )


def _run_all(store: RunStore, run_ids: list[str]) -> list[DistillationRun]:
    """Wait for each run in turn. Raises ValueError if a run ends without being done."""
    from atesc_core.cli.runs import follow

    runs = [follow(store, store.get_distillation(run_id)) for run_id in run_ids]
    for run in runs:
        if run.status != "done":
            reason = f": {run.error}" if run.error else ""
            raise ValueError(f"run: {run.id} {run.status}{reason}; nothing was recorded, what it logged is kept")
    return runs
