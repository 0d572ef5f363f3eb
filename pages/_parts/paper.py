"""A figure on paper: at which size, how it looks there, and the files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
import plotly.io
import streamlit as st

from atesc_core.figures import export, title
from atesc_core.runs import Run
from pages._parts import cost, look

MIME = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True)
class Print:
    """How a figure is to be printed."""

    venue: str
    columns: int
    font: str
    font_pt: float
    height_in: float | None

    @property
    def width_in(self) -> float:
        return export.VENUES[self.venue].width(self.columns)

    @property
    def sheet_in(self) -> float:
        """The width of the venue's text."""
        return export.VENUES[self.venue].two


def settings() -> Print:
    """A row of widgets."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        venue = st.segmented_control("Venue", list(export.VENUES), default="icml", required=True, key="venue",
                                     format_func=lambda name: export.VENUES[name].name)
        one, two = export.VENUES[venue].one, export.VENUES[venue].two
        columns = 1
        if one != two:
            columns = st.segmented_control("Columns", [1, 2], default=1, required=True, key="columns",
                                           format_func=lambda n: f"{n} · {(one, two)[n - 1]:g} in")
        with st.popover("Type", icon=":material/format_size:"):
            font = st.segmented_control("Type", ["sans", "serif"], default="sans", required=True, key="font",
                                        format_func=str.capitalize)
            font_pt = st.number_input("Size (pt)", 5.0, 14.0, 8.0, 0.5, format="%.1f", key="font size")
            height = st.number_input("Height (in)", 1.0, 9.0, None, 0.1, format="%.2f", key="height", placeholder=(
                "the figure's own"))
    return Print(venue, columns, font, font_pt, height)


def preview(figure: go.Figure, printed: Print, name: str, run: Run, more: dict[str, Any]) -> bool:
    """The figure on a white sheet, as it will print; whether a browser could draw it."""
    try:
        with st.spinner("Drawing it as it will print …"):
            svg = _drawn(figure.to_json(), "svg", printed, _origin(figure, run, more))
    except (export.BrowserMissing, export.RenderError) as error:
        look.problem("The figure cannot be drawn for print here.", f"{error}", "The CSV below is complete.")
        return False
    st.html(_sheet(svg, printed, f"{title(name)}. {_words(run, more)}"))
    look.caption(f"{printed.width_in:g} in wide at {export.VENUES[printed.venue].name}. True size where an inch of the "
                 "ruler is an inch: else zoom the browser.")
    return True


def downloads(figure: go.Figure, printed: Print, name: str, run: Run, more: dict[str, Any], drawn: bool) -> None:
    """The files; each carries where it came from, or lies beside a file that does."""
    stem, origin = f"{name}-{run.id}", _origin(figure, run, more)
    with st.container(horizontal=True, gap="small"):
        for kind in export.FORMATS:
            _download(kind.upper(), _later(figure, kind, printed, origin), f"{stem}.{kind}", MIME[kind],
                      disabled=not drawn, type="primary" if kind == "pdf" else "secondary")
        _download("CSV", export.csv(figure), f"{stem}.csv", "text/csv", help="What the figure draws, a row a point")
        _download("Sidecar", export.sidecar(origin), f"{stem}.yaml", "application/yaml",
                  help="The run's settings, versions, device and command")
        _download("All, zipped", lambda: export.bundle(figure, stem, export.FORMATS, origin=origin, **asdict(printed)),
                  f"{stem}.zip", "application/zip", disabled=not drawn)
    look.label("The command that makes this run again")
    st.code(cost.command(run.spec), language="bash", wrap_lines=True)


def _download(label: str, data: Any, file_name: str, mime: str, **more: Any) -> None:
    st.download_button(label, data, file_name, mime, icon=":material/download:", on_click="ignore",
                       key=f"download {label}", **more)


def _later(figure: go.Figure, kind: str, printed: Print, origin: dict[str, Any]) -> Callable[[], bytes]:
    return lambda: export.image(figure, kind, origin=origin, **asdict(printed))


@st.cache_data(max_entries=64, show_spinner=False)
def _drawn(figure: str, kind: str, printed: Print, _origin: dict[str, Any]) -> bytes:
    return export.image(plotly.io.from_json(figure), kind, origin=_origin, **asdict(printed))


def _origin(figure: go.Figure, run: Run, more: dict[str, Any]) -> dict[str, Any]:
    return export.origin(figure, spec=run.spec.model_dump(mode="json"), command=cost.command(run.spec),
                         device=run.device, run=run.id, epochs_done=len(run.metrics) and run.epoch, **more)


def _words(run: Run, more: dict[str, Any]) -> str:
    """What the figure is of."""
    parts = [f"Teacher {run.spec.teacher}, seed {run.spec.seed}"]
    if "epoch" in more:
        parts.append(f"epoch {more['epoch']}")
    return ", ".join(parts) + "."


def _sheet(svg: bytes, printed: Print, caption: str) -> str:
    inches = "".join(f'<span style="left:{inch}in">{inch or "in"}</span>' for inch in range(int(printed.sheet_in) + 1))
    source = base64.b64encode(svg).decode()
    beside = '<div class="atesc-greek" style="flex:1;height:auto;align-self:stretch"></div>' \
        if printed.width_in < printed.sheet_in - 0.5 else ""
    style = (look.ASSETS / "look" / "paper.css").read_text()
    return (
        f"<style>{style}</style>"
        f'<div class="atesc-desk is-{look.mode()}"><div class="atesc-paper" style="width:{printed.sheet_in}in">'
        f'<div class="atesc-ruler">{inches}</div><div class="atesc-columns">'
        f'<figure class="atesc-figure" style="width:{printed.width_in}in">'
        f'<img alt="{escape(caption)}" src="data:image/svg+xml;base64,{source}">'
        f"<figcaption><i>Figure 1.</i> {escape(caption)}</figcaption></figure>{beside}</div></div></div>")
