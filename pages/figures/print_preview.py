"""The print preview of a figure, and its files to download."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from atesc_core import paths
from atesc_core.figures import title
from atesc_core.figures.export import files, venues
from atesc_core.figures.export.drawing import find_drawing, start_drawing
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Recipe
from atesc_core.figures.export.sheet import Sheet
from atesc_core.figures.run_figures import draw_recipe, recipe_provenance
from atesc_core.jobs import ThreadJob
from atesc_core.specs.command import run_command
from pages.shared.data.store import run_store
from pages.shared.ui import appearance, elements, run_labels
from pages.shared.ui.progress import watch_job

JOB_TITLE = "Drawing it as it will print"
WAIT_S = 1.0  # most figures are drawn within this time; slower ones show their progress
MIME = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}


def print_figure(recipe: Recipe, drawn: Sequence[go.Figure]) -> None:
    """Draw the figure as it will print, and below it its files to download."""
    job = _drawing(recipe, drawn)
    with st.spinner(f"{JOB_TITLE} …", show_time=True):
        job.wait(WAIT_S)
    sheet = job.result() if job.state == "done" else None
    place = st.container()  # filled last: a press on a button gives the figure that is shown, never an older one
    with elements.hidden_when_presenting("files"):
        _downloads(recipe, drawn, sheet)
    with place:
        if sheet:
            _preview(recipe, sheet)
        else:
            watch_job(
                job,
                JOB_TITLE,
                lambda: _start_drawing(job.key, recipe, drawn),
                unaffected="Data, origin and recipe below are complete.",
            )


def _preview(recipe: Recipe, sheet: Sheet) -> None:
    """Draw the figure on a white page with a ruler."""
    layout = recipe.layout
    st.html(_page(files.sheet_file(sheet, "svg"), recipe, _caption(recipe)))
    elements.caption(
        f"{layout.width_in:g} in wide at {venues.VENUES[layout.venue].name}. True size where an inch of the "
        "ruler is an inch: else zoom the browser."
    )
    if sheet.missing:
        elements.notice(
            "warning",
            f"The {layout.font} font has no {sheet.missing}: these print in a font of this machine. "
            "Other labels avoid it.",
            icon=":material/font_download_off:",
        )


def _downloads(recipe: Recipe, drawn: Sequence[go.Figure], sheet: Sheet | None) -> None:
    """Draw the download buttons, and the commands that make the figure and its runs again."""
    provenance, stem = recipe_provenance(recipe, drawn, run_store()), recipe.stem
    with st.container(horizontal=True, gap="small"):
        for kind in files.FORMATS:
            _download(
                kind.upper(),
                b"" if sheet is None else partial(files.sheet_file, sheet, kind, provenance, recipe.layout.dpi),
                f"{stem}.{kind}",
                MIME[kind],
                disabled=sheet is None,
                type="primary" if kind == "pdf" else "secondary",
            )
        _download(
            "CSV", files.figure_csv(drawn), f"{stem}.csv", "text/csv", help="What the figure draws, a row a point"
        )
        _download(
            "Origin",
            files.origin_yaml(provenance),
            f"{stem}.yaml",
            "application/yaml",
            help="The run's settings, versions, device and command",
        )
        _download(
            "Recipe",
            recipe.to_yaml(),
            f"{stem}.recipe.yaml",
            "application/yaml",
            help="This figure as it is set up, for the command that makes it again",
        )
        _download(
            "All, zipped",
            b"" if sheet is None else partial(files.zip_files, stem, drawn, sheet, provenance, recipe.layout.dpi),
            f"{stem}.zip",
            "application/zip",
            disabled=sheet is None,
        )
    elements.label("The command that makes this figure again" + (", beside its recipe" if recipe.needs_file else ""))
    st.code(recipe.command(), language="bash", wrap_lines=True)
    store, runs = run_store(), list(dict.fromkeys(panel.run for panel in recipe.panels))
    elements.label(
        "The command that makes this run again" if len(runs) == 1 else "The commands that make these runs again"
    )
    st.code(
        "\n".join(run_command(store.reproducing_spec(store.get_distillation(run))) for run in runs),
        language="bash",
        wrap_lines=True,
    )


def _download(label: str, data: Any, file_name: str, mime: str, **options: Any) -> None:
    st.download_button(
        label, data, file_name, mime, icon=":material/download:", on_click="ignore", key=f"download {label}", **options
    )


def _drawing(recipe: Recipe, drawn: Sequence[go.Figure]) -> ThreadJob[Sheet]:
    """The job that draws these figures in this layout; it is started if there is none yet."""
    content = "\0".join([recipe.to_yaml(), *(figure.to_json() for figure in drawn)])
    key = f"drawing {hashlib.sha256(content.encode()).hexdigest()}"
    return find_drawing(key) or _start_drawing(key, recipe, drawn)


def _start_drawing(key: str, recipe: Recipe, drawn: Sequence[go.Figure]) -> ThreadJob[Sheet]:
    return start_drawing(key, lambda stop: draw_recipe(recipe, drawn, stop))


def _caption(recipe: Recipe) -> str:
    """The caption: figure, whose labels, method, teacher, seed and epoch of each panel."""
    sentences = []
    for letter, panel in zip("abcdefghijkl", recipe.panels, strict=False):
        spec = run_store().get_distillation(panel.run).spec
        details = [run_labels.method_name(spec), f"teacher {spec.teacher}", f"seed {spec.seed}"]
        details += [f"epoch {panel.epoch}"] * (panel.epoch is not None)
        whose = f" of the {panel.network}" if "network" in PANEL_OPTIONS[panel.figure] else ""
        sentences.append(
            f"({letter}) " * (len(recipe.panels) > 1) + f"{title(panel.figure)}{whose}. {', '.join(details)}."
        )
    return " ".join(sentences)


def _page(svg: bytes, recipe: Recipe, caption: str) -> str:
    """HTML of the print preview: a page with a ruler, the figure in its column, and its caption."""
    width, text_width = recipe.layout.width_in, recipe.layout.text_width_in
    inches = "".join(f'<span style="left:{inch}in">{inch or "in"}</span>' for inch in range(int(text_width) + 1))
    source = base64.b64encode(svg).decode()
    neighbour = (  # grey lines in place of text, in the rest of the page width
        '<div class="atesc-greek" style="flex:1;height:auto;align-self:stretch"></div>'
        if width < text_width - 0.5
        else ""
    )
    css = (paths.ASSETS / "appearance" / "print_preview.css").read_text()
    return (
        f"<style>{css}</style>"
        f'<div class="atesc-desk is-{appearance.mode()}"><div class="atesc-paper" style="width:{text_width}in">'
        f'<div class="atesc-ruler">{inches}</div><div class="atesc-columns">'
        f'<figure class="atesc-figure" style="width:{width}in">'
        f'<img alt="{escape(caption)}" src="data:image/svg+xml;base64,{source}">'
        f"<figcaption><i>Figure 1.</i> {escape(caption)}</figcaption></figure>{neighbour}</div></div></div>"
    )
