"""Commands that draw what the app's page Figures draws, from the same data.

``figure list``, ``figure NAME --run ID --out FILE``, ``figure panels --of NAME --of NAME ...``, ``figure RECIPE.yaml
--out DIR``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer
from rich.table import Table

from atesc_core import errors
from atesc_core.cli.common import AsJson, RunsDir, open_store, print_message, print_table, progress_bar

if TYPE_CHECKING:
    from rich.progress import TaskID

    from atesc_core.figures.export.files import Format
    from atesc_core.figures.export.recipe import Recipe
    from atesc_core.figures.export.sheet import Sheet
    from atesc_core.figures.sources import Sources
    from atesc_core.runs import RunStore

PANELS = "panels"
RECIPES = (".yaml", ".yml")
FILES: dict[str, Format] = {".pdf": "pdf", ".svg": "svg", ".png": "png"}
SUFFIXES = (*FILES, ".csv")
Result = TypeVar("Result")


def figure(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|panels|RECIPE.yaml|list",
            help="A figure's name, several as panels, a recipe saved by the app, or list.",
        ),
    ],
    run: Annotated[str | None, typer.Option(metavar="ID", help="The run that it is of.", show_default=False)] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[@ID]", help="panels: the next figure, of --run or another run; may be repeated."),
    ] = None,
    across: Annotated[int, typer.Option(help="panels: how many in a row.")] = 2,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="panels: what stands beside the next one's letter; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, .pdf, .svg, .png or .csv; of a recipe the folder.", show_default=False),
    ] = None,
    venue: Annotated[Literal["icml", "neurips", "cvpr", "ieee"], typer.Option(help="Whose columns it fits.")] = "icml",
    columns: Annotated[int, typer.Option(help="As wide as 1 column, or as the page (2).")] = 1,
    font: Annotated[Literal["sans", "serif"], typer.Option(help="Arimo (Arial's widths) or Tinos (Times's).")] = "sans",
    font_pt: Annotated[float, typer.Option(help="Size of all text, in points on paper.")] = 8.0,
    height_in: Annotated[
        float | None, typer.Option(help="Height in inches; its own proportions, unless named.", show_default=False)
    ] = None,
    dpi: Annotated[int, typer.Option(help="Pixels to the inch, for .png.")] = 300,
    epoch: Annotated[
        int | None, typer.Option(help="Epoch of the synthetic images; the last one, unless named.", show_default=False)
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="One that the run keeps; its own, unless named.", show_default=False)
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Threshold between fragile and robust; the run's own, unless named.", show_default=False),
    ] = None,
    real: Annotated[
        bool, typer.Option(help="scores: real validation images too; the teacher is measured once.")
    ] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="accuracy, drift, batchnorm: a run to draw beside it; may be repeated."),
    ] = None,
    domain: Annotated[Literal["id", "ood"], typer.Option(help="confusion: of which validation images.")] = "id",
    network: Annotated[
        Literal["student", "teacher"], typer.Option(help="per_class, confusion: whose labels.")
    ] = "student",
    method: Annotated[
        Literal["PCA", "UMAP"], typer.Option(help="embedding: UMAP takes a minute, once a teacher.")
    ] = "PCA",
    colour: Annotated[
        Literal["group", "score", "class", "domain"], typer.Option(help="embedding: what colours synthetic images.")
    ] = "group",
    ground: Annotated[
        Literal["density", "points"], typer.Option(help="embedding: how real images are drawn.")
    ] = "density",
    as_json: AsJson = False,
    runs_dir: RunsDir = None,
) -> None:
    """Write a figure of a run, as it will print, with its data and where it comes from."""
    if what == "list":
        _list_figures(as_json)
        return
    if out is None:
        raise ValueError(
            "out: missing; expected --out "
            + ("DIR" if what.endswith(RECIPES) else f"FILE, ending in {', '.join(SUFFIXES)}")
        )
    if what.endswith(RECIPES):
        _write_recipe_files(Path(what), out, open_store(runs_dir))
        return
    panel = {
        "epoch": epoch,
        "score": score,
        "threshold": threshold,
        "real": real,
        "against": tuple(against or ()),
        "domain": domain,
        "network": network,
        "method": method,
        "colour": colour,
        "ground": ground,
    }
    layout = {"venue": venue, "columns": columns, "font": font, "font_pt": font_pt, "height_in": height_in, "dpi": dpi}
    recipe = (
        _panels_recipe(of or [], run, panel, label or [], across, layout)
        if what == PANELS
        else _figure_recipe(what, run, panel, layout)
    )
    _write_figure(recipe, out, runs_dir)


def _list_figures(as_json: bool) -> None:
    from atesc_core.figures import title
    from atesc_core.figures.export.recipe import PANEL_OPTIONS

    if as_json:
        print(
            json.dumps(
                [{"name": name, "title": title(name), "options": options} for name, options in PANEL_OPTIONS.items()]
            )
        )
        return
    table = Table("figure", "shows", "options")
    for name, options in PANEL_OPTIONS.items():
        table.add_row(name, title(name), "  ".join(f"--{option}" for option in options))
    print_table(table)


def _figure_recipe(name: str, run: str | None, panel: dict[str, Any], layout: dict[str, Any]) -> Recipe:
    """The recipe of one figure. Raises SpecError, which names a wrong field as on the command line."""
    from atesc_core.figures.export.recipe import Panel, PrintLayout, Recipe
    from atesc_core.specs.base import parse

    if run is None:
        parse(Panel, {"figure": name, "run": "?"})  # report an unknown figure first
        raise ValueError("run: missing; expected --run ID, as in `runs list`")
    return Recipe(panels=(parse(Panel, {"figure": name, "run": run} | panel),), layout=parse(PrintLayout, layout))


def _panels_recipe(
    of: list[str], run: str | None, options: dict[str, Any], labels: list[str], across: int, layout: dict[str, Any]
) -> Recipe:
    """The recipe of several panels.

    Each panel gets the options that its figure takes. An option that no figure takes goes to the first
    panel, whose validation then names it. Raises as ``_figure_recipe`` does.
    """
    from atesc_core.figures.export.recipe import PANEL_OPTIONS, Panel, PrintLayout, Recipe
    from atesc_core.specs.base import parse

    if not of:
        raise ValueError("of: missing; expected --of NAME for each panel, e.g. --of accuracy --of scores")
    if len(labels) > len(of):
        raise ValueError(f"label: {len(labels)} for {len(of)} panels; expected one a panel at most")
    requests = [(name, run_id or run) for name, _, run_id in (text.partition("@") for text in of)]
    used = {option for name, _ in requests for option in PANEL_OPTIONS.get(name, ())}
    panels = []
    for index, (name, run_id) in enumerate(requests):
        if run_id is None:
            raise ValueError(f"run: missing for {name}; expected --run ID, or --of {name}@ID")
        panel_options = {
            option: value
            for option, value in options.items()
            if option in PANEL_OPTIONS.get(name, ()) or index == 0 and option not in used
        }
        label = labels[index] if index < len(labels) else ""
        panels.append(parse(Panel, {"figure": name, "run": run_id, "label": label} | panel_options))
    return parse(Recipe, {"panels": tuple(panels), "across": across, "layout": parse(PrintLayout, layout)})


def _write_figure(recipe: Recipe, out: Path, runs_dir: Path | None) -> None:
    """Write one file, and its origin next to it."""
    from atesc_core.figures.export import files
    from atesc_core.figures.run_figures import draw_panels, draw_recipe, recipe_provenance, write_bytes

    kind = out.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"out: {str(out)!r} ends in {out.suffix or 'nothing'}; expected {', '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise ValueError(f"out: {str(out)!r}: the folder {str(out.parent)!r} does not exist")
    store = open_store(runs_dir)
    drawn = _with_sources(store, lambda sources: draw_panels(recipe, sources))
    facts = recipe_provenance(recipe, drawn, store) | {"figure_command": recipe.command(str(out))}
    csv = files.figure_csv(drawn).encode()
    if kind == ".csv":
        write_bytes(out, csv)
    else:
        try:
            sheet = draw_recipe(recipe, drawn)
            _warn_of_missing_characters(sheet)
            write_bytes(out, files.sheet_file(sheet, FILES[kind], facts, recipe.layout.dpi))
        except (errors.BrowserMissingError, errors.RenderError) as error:
            _exit_without_drawing(error, write_bytes(out.with_suffix(".csv"), csv))
    write_bytes(Path(f"{out}.yaml"), files.origin_yaml(facts).encode())
    print(out)


def _write_recipe_files(file: Path, folder: Path, store: RunStore) -> None:
    """Write all files of a recipe."""
    from atesc_core.errors import SpecError
    from atesc_core.figures.export.recipe import Recipe
    from atesc_core.figures.run_figures import write_recipe

    if not file.is_file():
        raise ValueError(f"recipe: {str(file)!r}: no such file")
    try:
        recipe = Recipe.from_yaml(file.read_text(encoding="utf-8"))
    except (SpecError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {file}: {error}") from None
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: {str(folder)!r} is a file; expected a folder for the recipe's files")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in _with_sources(store, lambda sources: write_recipe(recipe, sources, folder)):
            print(path)
    except (errors.BrowserMissingError, errors.RenderError) as error:
        _exit_without_drawing(error, folder / f"{recipe.stem}.csv")


def _with_sources(store: RunStore, work: Callable[[Sources], Result]) -> Result:
    """``work(sources)``, with a progress bar while a teacher is measured."""
    from atesc_core.figures.sources import measuring_sources

    with progress_bar("{task.fields[note]}") as progress:
        task: list[TaskID] = []

        def show_progress(share: float, message: str) -> None:
            if not task:
                task.append(progress.add_task("Measuring the teacher", total=1, note=""))
            progress.update(task[0], completed=share, note=message)

        return work(measuring_sources(store, show_progress))


def _warn_of_missing_characters(sheet: Sheet) -> None:
    if sheet.missing:
        print_message(
            f"note: font: the shipped {sheet.font} font lacks {sheet.missing!r}; these print in a font of this machine"
        )


def _exit_without_drawing(error: Exception, data: Path) -> NoReturn:
    """Exit with status 1: the arguments were right, and the data is written."""
    print_message(f"error: {error} The data is in {data}.")
    raise typer.Exit(1)
