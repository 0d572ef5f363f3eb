"""Files of a figure: PDF, SVG and PNG with metadata, its data as CSV, its origin as YAML, and a zip of all."""

from __future__ import annotations

import html
import io
import json
import platform
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import yaml

from atesc_core.figures.export import browser, fonts
from atesc_core.figures.export.sheet import Sheet, draw_sheet, figure_names
from atesc_core.figures.export.venues import VenueName
from atesc_core.version import lab_version

Format = Literal["pdf", "svg", "png"]

FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")

DPI_RANGE = (36, 1200)  # of a PNG


def render_file(
    figures: go.Figure | Sequence[go.Figure],
    kind: Format,
    venue: VenueName = "icml",
    columns: int = 1,
    *,
    dpi: int = 300,
    origin: dict[str, Any] | None = None,
    **layout: Any,
) -> bytes:
    """The file of one figure, or of several as panels: ``draw_sheet``, then ``sheet_file``.

    ``layout``: further arguments of ``draw_sheet``. Raises the errors of both functions.
    """
    _check_format(kind)
    return sheet_file(draw_sheet(figures, venue, columns, **layout), kind, origin, dpi)


def sheet_file(sheet: Sheet, kind: Format, origin: dict[str, Any] | None = None, dpi: int = 300) -> bytes:
    """A drawn sheet as a file.

    Args:
        sheet: The result of ``draw_sheet``.
        kind: ``pdf``, ``svg`` or ``png``.
        origin: The result of ``provenance``, for the file's metadata.
        dpi: Pixels per inch of a PNG, 36 to 1200.

    Raises:
        ValueError: The format or the resolution is unknown.
        BrowserMissingError: There is no browser to draw with.
        RenderError: The browser failed.
    """
    _check_format(kind)
    if not DPI_RANGE[0] <= dpi <= DPI_RANGE[1]:
        raise ValueError(f"dpi: {dpi!r}; expected {DPI_RANGE[0]} to {DPI_RANGE[1]}")
    style = f"<style>{fonts.face_rules(sheet.font, sheet.text)}</style>"
    if kind == "svg":
        title, facts = (html.escape(part, quote=False) for part in (sheet.title, json.dumps(origin or {})))
        return sheet.svg(f"<title>{title}</title><metadata>{facts}</metadata>{style}").encode()
    printed = browser.print_svg(sheet.svg(style), kind, sheet.width, sheet.height, dpi)
    return (
        _pdf_with_metadata(printed, origin or {}, sheet.title)
        if kind == "pdf"
        else _png_with_metadata(printed, origin or {}, sheet.title, dpi)
    )


def _check_format(kind: str) -> None:
    if kind not in FORMATS:
        raise ValueError(f"format: {kind!r} is not known; expected one of {', '.join(FORMATS)}")


def provenance(
    figures: go.Figure | Sequence[go.Figure],
    *,
    spec: dict[str, Any] | None = None,
    command: str | None = None,
    device: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The facts that a reader needs to make the figure again: the run's spec, the command, device and versions."""
    packages = ("torch", "numpy", "pandas", "plotly", "kaleido", "scikit-learn", "umap-learn")
    return {
        "figure": ", ".join(figure_names(figures)),
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


def _pdf_with_metadata(file: bytes, facts: dict[str, Any], title: str) -> bytes:
    """Replace the document's information by an incremental update (PDF 1.7, 7.5.6): the pages are not changed."""
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref\s*(\d+)\s*%%EOF\s*$", file, re.DOTALL)
    if trailer is None:
        return file
    size_entry, root_entry = re.search(rb"/Size (\d+)", trailer[1]), re.search(rb"/Root \d+ \d+ R", trailer[1])
    if size_entry is None or root_entry is None:
        return file
    size, root = int(size_entry[1]), root_entry[0]
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


def _png_with_metadata(file: bytes, facts: dict[str, Any], title: str, dpi: int) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    metadata = PngInfo()
    metadata.add_itxt("Title", title)
    metadata.add_itxt("ATEscOrigin", json.dumps(facts, ensure_ascii=False))
    out = io.BytesIO()
    with Image.open(io.BytesIO(file)) as picture:
        picture.convert("RGB").save(out, "PNG", pnginfo=metadata, dpi=(dpi, dpi), optimize=True)
    return out.getvalue()


def figure_data(figures: go.Figure | Sequence[go.Figure]) -> pd.DataFrame:
    """The data of a figure, one row per point: labels of its trace, x and y by their titles, and its hover data.

    Several panels follow each other, with a column ``panel`` (a, b ...) first.
    """
    if isinstance(figures, go.Figure):
        return _panel_data(figures)
    parts = [_panel_data(figure) for figure in figures]
    for index, part in enumerate(parts):
        part.insert(0, "panel", chr(ord("a") + index))
    return pd.concat(parts, ignore_index=True).convert_dtypes()


def _panel_data(figure: go.Figure) -> pd.DataFrame:
    names = figure.layout.meta or {}
    parts = [_trace_data(trace, names) for trace in figure.data if not (trace.meta or {}).get("skip")]
    return pd.concat(parts, ignore_index=True).convert_dtypes() if parts else pd.DataFrame()


def _trace_data(trace: Any, names: dict[str, Any]) -> pd.DataFrame:
    labels = dict(trace.meta or {})
    extra = labels.pop("customdata", [])
    if trace.type == "heatmap":
        y, x = (grid.ravel() for grid in np.meshgrid(trace.y, trace.x, indexing="ij"))
        values = {names["x"]: x, names["y"]: y, names["z"]: np.ravel(trace.z)}
        further = [np.ravel(trace.customdata)] if extra else []
    else:
        values = {names["x"]: trace.x, names["y"]: trace.y}
        further = list(np.reshape(np.asarray(trace.customdata, object), (-1, len(extra))).T) if extra else []
    rows = pd.DataFrame({**values, **dict(zip(extra, further, strict=False))}).dropna(subset=list(values), how="all")
    for position, (key, value) in enumerate(labels.items()):
        rows.insert(position, key, value)
    return rows.convert_dtypes()


def figure_csv(figures: go.Figure | Sequence[go.Figure]) -> str:
    """The data of a figure as CSV, full precision."""
    return figure_data(figures).to_csv(index=False, lineterminator="\n")


def zip_files(
    stem: str,
    figures: go.Figure | Sequence[go.Figure],
    sheet: Sheet,
    origin: dict[str, Any],
    dpi: int = 300,
    kinds: Iterable[Format] = FORMATS,
) -> bytes:
    """A zip of the figure in each format, its data (CSV) and its origin (YAML).

    Args:
        stem: Name of the files without a suffix, as ``file_stem`` returns it.
        figures: The figures of the sheet.
        sheet: The result of ``draw_sheet`` for these figures.
        origin: The result of ``provenance``.
        dpi: Pixels per inch of the PNG.
        kinds: The formats to write.
    """
    files = {f"{stem}.{kind}": sheet_file(sheet, kind, origin, dpi) for kind in kinds}
    files[f"{stem}.csv"] = figure_csv(figures).encode()
    files[f"{stem}.yaml"] = origin_yaml(origin).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return out.getvalue()


def file_stem(name: str) -> str:
    """``name`` reduced to the characters that a file name may have; never a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "figure"


def origin_yaml(origin: dict[str, Any]) -> str:
    """The origin as YAML, for a file next to the figure's."""
    return yaml.safe_dump(origin, sort_keys=False, allow_unicode=True)
