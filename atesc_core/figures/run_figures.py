"""Draw, print and write figures of runs by recipe, for the app and for the command line."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from atesc_core.figures.export import files
from atesc_core.figures.export.recipe import Panel, Recipe
from atesc_core.figures.export.sheet import Sheet, draw_sheet
from atesc_core.figures.panels import PANEL_BUILDERS, PanelData
from atesc_core.figures.sources import Sources
from atesc_core.runs import DistillationRun, RunStore
from atesc_core.specs.command import run_command


def draw_panel(panel: Panel, sources: Sources) -> go.Figure:
    """Draw the figure of a panel with ``mode="print"``.

    Raises:
        FigureNotReadyError: Its data is not measured yet.
        UnknownRunError: There is no such run.
        StoreError: The epoch has no images.
        ValueError: The run does not have the score.
    """
    return PANEL_BUILDERS[panel.figure](PanelData(panel, sources, sources.store.get_distillation(panel.run)))


def draw_panels(recipe: Recipe, sources: Sources) -> list[go.Figure]:
    """Draw each panel of a recipe. Raises as ``draw_panel`` does."""
    return [draw_panel(panel, sources) for panel in recipe.panels]


def recipe_provenance(recipe: Recipe, drawn: Sequence[go.Figure], store: RunStore) -> dict[str, Any]:
    """Origin of the figures: facts on the run of the first panel, and facts on the other runs in ``other_runs``."""
    runs = [store.get_distillation(run_id) for run_id in dict.fromkeys(panel.run for panel in recipe.panels)]
    first, *other_facts = [_run_facts(run, store) for run in runs]
    more: dict[str, Any] = {"other_runs": other_facts} if other_facts else {}
    return files.provenance(
        drawn,
        **first,
        **more,
        figure_command=recipe.command(),
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
    )


def _run_facts(run: DistillationRun, store: RunStore) -> dict[str, Any]:
    """Facts on a run. ``made_by`` is the version of the lab that started it, maybe older than the current one."""
    history = store.history(run.id)
    starts = history.loc[history["kind"] == "started", "text"]
    spec = store.reproducing_spec(run)
    return {
        "run": run.id,
        "spec": spec.model_dump(mode="json"),
        "command": run_command(spec),
        "device": run.device,
        "build": run.build,
        "made_by": next(filter(None, starts), None),
        "status": run.status,
        "epochs_done": run.measured_epoch,
    }


def write_recipe(recipe: Recipe, sources: Sources, folder: Path) -> list[Path]:
    """Write every file of a recipe into ``folder``, and return their paths.

    Data and origin are written first, so that they exist if there is no browser to draw with.

    Raises:
        BrowserMissingError: There is no browser to draw with.
        RenderError: The browser failed.
        ValueError: As ``draw_panel`` and ``draw_sheet`` do.
    """
    drawn = draw_panels(recipe, sources)
    facts = recipe_provenance(recipe, drawn, sources.store)
    written = [
        write_bytes(folder / f"{recipe.stem}.csv", files.figure_csv(drawn).encode()),
        write_bytes(folder / f"{recipe.stem}.yaml", files.origin_yaml(facts).encode()),
    ]
    sheet = draw_recipe(recipe, drawn)
    return written + [
        write_bytes(folder / f"{recipe.stem}.{kind}", files.sheet_file(sheet, kind, facts, recipe.layout.dpi))
        for kind in recipe.formats
    ]


def draw_recipe(recipe: Recipe, drawn: Sequence[go.Figure], stop: threading.Event | None = None) -> Sheet:
    """Lay out the figures of a recipe for print. Set ``stop`` to stop the drawing. Raises as ``draw_sheet`` does."""
    return draw_sheet(drawn, **recipe.layout.sheet_options(), across=recipe.across, labels=recipe.labels, stop=stop)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
