"""Figures to take home: PDF, SVG and PNG at a venue's column width, the data as CSV, and where it came from.

One figure or several panels are laid out at their printed size (``sheet``), drawn once as SVG with the fonts that
will print, and from that very SVG come the preview, the PDF and the PNG.
"""

from __future__ import annotations

import copy
import html
import io
import json
import math
import platform
import re
import threading
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import yaml

from atesc_core.errors import BrowserMissing, RenderError
from atesc_core.figures import theme
from atesc_core.figures.export import browser, fonts
from atesc_core.figures.export.browser import close_browser, find_browser
from atesc_core.figures.export.points import dotted
from atesc_core.version import lab_version

__all__ = [
    "FORMATS",
    "VENUES",
    "BrowserMissing",
    "RenderError",
    "Sheet",
    "bundle",
    "close_browser",
    "csv",
    "find_browser",
    "for_print",
    "image",
    "origin",
    "sheet",
    "sidecar",
    "table",
]

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")
DPI = (36, 1200)
GAP_IN = 0.12  # between two panels
LEAST_IN = 0.4  # [ours] a panel's height


@dataclass(frozen=True)
class Venue:
    """Widths in inches of a figure in one column and across the page, from the venue's author kit."""

    name: str
    one: float
    two: float

    def width(self, columns: int) -> float:
        """Raises ValueError where ``columns`` is neither 1 nor 2."""
        if columns not in (1, 2):
            raise ValueError(f"columns: {columns!r}; expected 1 or 2")
        return self.one if columns == 1 else self.two


VENUES: dict[str, Venue] = {
    "icml": Venue("ICML", 3.25, 6.75),  # two columns of 3.25 in, 0.25 in apart
    "neurips": Venue("NeurIPS", 5.5, 5.5),  # one text column only
    "cvpr": Venue("CVPR", 3.25, 6.875),  # two columns of 3 1/4 in, 5/16 in apart
    "ieee": Venue("IEEE", 3.5, 7.16),  # 21 and 43 picas
}


# ── the figure at its printed size ─────────────────────────────────────────────────────────────────────


def for_print(
    figure: go.Figure,
    venue: str = "icml",
    columns: int = 1,
    *,
    height_in: float | None = None,
    font_pt: float = theme.PRINT_FONT_PT,
    font: str = "sans",
    width_in: float | None = None,
) -> go.Figure:
    """A copy laid out at the venue's width, 96 px to the inch, with all text of ``font_pt`` points on paper.

    ``height_in``: inches; default, the figure's own proportions. ``font``: ``sans`` or ``serif``. ``width_in``: of a
    panel, instead of the column's. Raises ValueError for an unknown venue or font, and for a figure that was not
    made with ``mode="print"``.
    """
    if venue not in VENUES:
        raise ValueError(f"venue: {venue!r} is not known; expected one of {', '.join(VENUES)}")
    if font not in theme.PRINT_FONTS:
        raise ValueError(f"font: {font!r} is not known; expected one of {', '.join(theme.PRINT_FONTS)}")
    if not 4 <= font_pt <= 24:
        raise ValueError(f"font_pt: {font_pt!r}; expected 4 to 24 points")
    meta = figure.layout.meta or {}
    if meta.get("mode") != "print":
        raise ValueError(f"figure: made for {meta.get('mode')!r}; expected one made with mode='print'")
    width = width_in or VENUES[venue].width(columns)
    printed = go.Figure(copy.deepcopy(figure))
    grown = theme.points(font_pt) / theme.points(theme.PRINT_FONT_PT)
    own = printed.layout.margin.to_plotly_json()
    printed.update_layout(
        template=theme.template("print", theme.points(font_pt), theme.PRINT_FONTS[font]),
        width=width * theme.PX_PER_INCH,
        height=(height_in or width * meta["aspect"]) * theme.PX_PER_INCH,
        margin={side: size * grown for side, size in own.items() if side in "lrtb"},
    )
    return printed


@dataclass(frozen=True)
class Sheet:
    """What will be on paper: drawn, and ready to become a file."""

    title: str
    body: str  # the panels, as SVG elements
    width: float  # px, 96 to the inch
    height: float
    font: str  # sans or serif

    @cached_property
    def text(self) -> str:
        """Every character that is drawn."""
        return "".join(ElementTree.fromstring(self.svg()).itertext())

    @property
    def missing(self) -> str:
        """Characters that the shipped font lacks: these alone print in a font of this machine's."""
        return fonts.missing(self.text, self.font)

    def svg(self, inside: str = "") -> str:
        """As SVG, sized in inches, over white; ``inside``: further elements, before the picture."""
        inches = (
            f'{name}="{side / theme.PX_PER_INCH:g}in"'
            for name, side in (("width", self.width), ("height", self.height))
        )
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return (
            f'<svg {spaces} {" ".join(inches)} viewBox="0 0 {self.width:g} {self.height:g}">{inside}'
            f'<rect width="100%" height="100%" style="fill:#FFFFFF"/>{self.body}</svg>'
        )

    def file(self, kind: Format, origin: dict[str, Any] | None = None, dpi: int = 300) -> bytes:
        """``dpi`` is for PNG; ``origin`` goes into its metadata. Raises as ``image`` does."""
        if kind not in FORMATS:
            raise ValueError(f"format: {kind!r} is not known; expected one of {', '.join(FORMATS)}")
        if not DPI[0] <= dpi <= DPI[1]:
            raise ValueError(f"dpi: {dpi!r}; expected {DPI[0]} to {DPI[1]}")
        style = f"<style>{fonts.face_rules(self.font, self.text)}</style>"
        if kind == "svg":
            words, facts = (html.escape(part, quote=False) for part in (self.title, json.dumps(origin or {})))
            return self.svg(f"<title>{words}</title><metadata>{facts}</metadata>{style}").encode()
        drawn = browser.print_svg(self.svg(style), kind, self.width, self.height, dpi)
        return (_pdf_with if kind == "pdf" else _png_with)(drawn, origin or {}, self.title, dpi)


def sheet(
    figures: go.Figure | Sequence[go.Figure],
    venue: str = "icml",
    columns: int = 1,
    *,
    height_in: float | None = None,
    font_pt: float = theme.PRINT_FONT_PT,
    font: str = "sans",
    across: int = 2,
    labels: Sequence[str] = (),
    stop: threading.Event | None = None,
) -> Sheet:
    """Draw figures made with ``mode="print"``, as they will print.

    Several become panels (a), (b) ..., ``across`` in a row; ``labels``: what stands beside their letters.
    ``height_in``: of the whole. ``stop``: see ``Drawing``. Raises BrowserMissing, RenderError, Stopped, and ValueError
    as ``for_print`` does.
    """
    panels = [figures] if isinstance(figures, go.Figure) else list(figures)
    across = min(across, len(panels))
    line = 1.6 * theme.points(font_pt) if len(panels) > 1 else 0.0  # px above a panel, for its letter
    full, gap = VENUES[venue].width(columns) if venue in VENUES else 1.0, GAP_IN * theme.PX_PER_INCH
    width_in = (full - GAP_IN * (across - 1)) / across
    rows = [list(enumerate(panels))[first : first + across] for first in range(0, len(panels), across)]
    natural = [width_in * max((panel.layout.meta or {}).get("aspect", 1) for _, panel in row) for row in rows]
    spent = (line * len(rows) + gap * (len(rows) - 1)) / theme.PX_PER_INCH
    room = (height_in - spent) / sum(natural) if height_in else 1.0
    least = spent + LEAST_IN * sum(natural) / min(natural)
    if height_in and height_in < least:
        needed = math.ceil(100 * least) / 100
        many = f"{len(rows)} row{'s' * (len(rows) > 1)}"
        raise ValueError(f"height_in: {height_in:g}; expected {needed:g} in or more for {many} of panels")
    body, top = "", 0.0
    for row, own in zip(rows, natural, strict=True):
        for place, (index, panel) in enumerate(row):
            printed = for_print(
                panel, venue, columns, width_in=width_in, height_in=own * room, font_pt=font_pt, font=font
            )
            left = place * (width_in * theme.PX_PER_INCH + gap)
            if line:
                label = labels[index] if index < len(labels) else ""
                body += _letter(index, label, left, top + 0.75 * line, font_pt, font)
            body += dotted(browser.draw(printed, stop)).replace("<svg ", f'<svg x="{left:g}" y="{top + line:g}" ', 1)
        top += line + own * room * theme.PX_PER_INCH + gap
    return Sheet(_title(panels), body, full * theme.PX_PER_INCH, top - gap, font)


def _letter(index: int, label: str, x: float, y: float, font_pt: float, font: str) -> str:
    family = theme.PRINT_FONTS[font].replace("'", "")
    words = f'<tspan style="font-weight:700">({chr(ord("a") + index)})</tspan> {html.escape(label)}'.strip()
    return (
        f'<text x="{x:g}" y="{y:g}" style="font-family: {family}; font-size: {theme.points(font_pt):g}px; '
        f'fill: {theme.look("print").ink}">{words}</text>'
    )


def image(
    figures: go.Figure | Sequence[go.Figure],
    kind: Format,
    venue: str = "icml",
    columns: int = 1,
    *,
    dpi: int = 300,
    origin: dict[str, Any] | None = None,
    **layout: Any,
) -> bytes:
    """The file of one figure, or of several as panels; ``layout`` is ``sheet``'s, ``dpi`` and ``origin`` are
    ``Sheet.file``'s.

    Raises BrowserMissing, RenderError, and ValueError for a setting that is wrong.
    """
    if kind not in FORMATS:
        raise ValueError(f"format: {kind!r} is not known; expected one of {', '.join(FORMATS)}")
    return sheet(figures, venue, columns, **layout).file(kind, origin, dpi)


# ── where it came from ─────────────────────────────────────────────────────────────────────────────────


def origin(
    figures: go.Figure | Sequence[go.Figure],
    *,
    spec: dict[str, Any] | None = None,
    command: str | None = None,
    device: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a reader needs to make the figure again: the run's spec, the command, device and versions."""
    packages = ("torch", "numpy", "pandas", "plotly", "kaleido", "scikit-learn", "umap-learn")
    return {
        "figure": ", ".join(_names(figures)),
        "command": command,
        "device": device,
        "spec": spec,
        **more,
        "versions": {
            "atesc-lab": lab_version(),
            "python": platform.python_version(),
            **{name: _version(name) for name in packages},
        },
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _pdf_with(file: bytes, facts: dict[str, Any], title: str, dpi: int) -> bytes:
    """Replace the document's information by an incremental update (PDF 1.7, 7.5.6): the pages stay untouched."""
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref\s*(\d+)\s*%%EOF\s*$", file, re.DOTALL)
    if trailer is None:
        return file
    size = int(re.search(rb"/Size (\d+)", trailer[1])[1])
    root = re.search(rb"/Root \d+ \d+ R", trailer[1])[0]
    entries = {
        "Title": title,
        "Creator": "ATEsc Lab",
        "Producer": "ATEsc Lab, Plotly, Kaleido, Chromium",
        "ATEscOrigin": json.dumps(facts, ensure_ascii=False),
    }
    fields = b" ".join(
        b"/%s <FEFF%s>" % (key.encode(), value.encode("utf-16-be").hex().upper().encode())
        for key, value in entries.items()
    )
    body = file if file.endswith(b"\n") else file + b"\n"
    update = b"%d 0 obj\n<<%s>>\nendobj\n" % (size, fields)
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size %d %s /Info %d 0 R /Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
    return body + update + table % (size, len(body), size + 1, root, size, int(trailer[2]), len(body) + len(update))


def _png_with(file: bytes, facts: dict[str, Any], title: str, dpi: int) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_itxt("Title", title)
    told.add_itxt("ATEscOrigin", json.dumps(facts, ensure_ascii=False))
    out = io.BytesIO()
    with Image.open(io.BytesIO(file)) as picture:
        picture.convert("RGB").save(out, "PNG", pnginfo=told, dpi=(dpi, dpi), optimize=True)
    return out.getvalue()


def _names(figures: go.Figure | Sequence[go.Figure]) -> list[str]:
    panels = [figures] if isinstance(figures, go.Figure) else figures
    return [(panel.layout.meta or {}).get("figure", "") for panel in panels]


def _title(panels: Sequence[go.Figure]) -> str:
    from atesc_core.figures import FIGURES, title

    return "; ".join(dict.fromkeys(title(name) if name in FIGURES else "Figure" for name in _names(panels)))


# ── the data ───────────────────────────────────────────────────────────────────────────────────────────


def table(figures: go.Figure | Sequence[go.Figure]) -> pd.DataFrame:
    """What the figure draws, one row a point: what the trace is of, x and y by their titles, and its further data.

    Of several panels one below the other, with a column ``panel`` (a, b ...) first.
    """
    if isinstance(figures, go.Figure):
        return _table(figures)
    parts = [_table(figure) for figure in figures]
    for index, part in enumerate(parts):
        part.insert(0, "panel", chr(ord("a") + index))
    return pd.concat(parts, ignore_index=True).convert_dtypes()


def _table(figure: go.Figure) -> pd.DataFrame:
    names = figure.layout.meta or {}
    parts = [_rows(trace, names) for trace in figure.data if not (trace.meta or {}).get("skip")]
    return pd.concat(parts, ignore_index=True).convert_dtypes() if parts else pd.DataFrame()


def _rows(trace: Any, names: dict[str, Any]) -> pd.DataFrame:
    told = dict(trace.meta or {})
    extra = told.pop("customdata", [])
    if trace.type == "heatmap":
        y, x = (grid.ravel() for grid in np.meshgrid(trace.y, trace.x, indexing="ij"))
        values = {names["x"]: x, names["y"]: y, names["z"]: np.ravel(trace.z)}
        further = [np.ravel(trace.customdata)] if extra else []
    else:
        values = {names["x"]: trace.x, names["y"]: trace.y}
        further = list(np.reshape(np.asarray(trace.customdata, object), (-1, len(extra))).T) if extra else []
    rows = pd.DataFrame({**values, **dict(zip(extra, further, strict=False))}).dropna(subset=list(values), how="all")
    for place, (key, value) in enumerate(told.items()):
        rows.insert(place, key, value)
    return rows.convert_dtypes()


def csv(figures: go.Figure | Sequence[go.Figure]) -> str:
    """The data as CSV, full precision."""
    return table(figures).to_csv(index=False, lineterminator="\n")


def bundle(
    figures: go.Figure | Sequence[go.Figure],
    name: str,
    kinds: Iterable[Format] = ("pdf",),
    *,
    origin: dict[str, Any],
    dpi: int = 300,
    **layout: Any,
) -> bytes:
    """A zip of the figure in each format, its data (CSV) and its origin (YAML). ``layout`` is ``sheet``'s."""
    return zipped(file_stem(name), figures, sheet(figures, **layout), origin, dpi, kinds)


def zipped(
    stem: str,
    figures: go.Figure | Sequence[go.Figure],
    drawn: Sheet,
    origin: dict[str, Any],
    dpi: int = 300,
    kinds: Iterable[Format] = FORMATS,
) -> bytes:
    """``bundle`` of what is drawn already. ``stem``: what its files are called."""
    files = {f"{stem}.{kind}": drawn.file(kind, origin, dpi) for kind in kinds}
    files[f"{stem}.csv"] = csv(figures).encode()
    files[f"{stem}.yaml"] = sidecar(origin).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return out.getvalue()


def file_stem(name: str) -> str:
    """``name`` as a file may be called, without its suffix: never a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "figure"


def sidecar(origin: dict[str, Any]) -> str:
    """The origin as YAML, to lie beside the figure."""
    return yaml.safe_dump(origin, sort_keys=False, allow_unicode=True)
