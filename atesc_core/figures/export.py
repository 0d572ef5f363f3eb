"""Figures to take home: PDF, SVG and PNG at a venue's column width, the data as CSV, and where it came from.

Rendering is Kaleido's, through one Chromium that stays open: a second figure takes a tenth of the time of
the first. Kaleido's own sync server is not used, because it can hand one thread another's picture or hang
(plotly/Kaleido issue 441); its documented ``Kaleido`` class is driven from one thread of ours instead.
"""

from __future__ import annotations

import asyncio
import atexit
import copy
import html
import io
import json
import platform
import re
import threading
import zipfile
from collections.abc import Iterable
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import yaml

from atesc_core.figures import theme

if TYPE_CHECKING:
    from kaleido import Kaleido

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")
SECONDS = 60.0  # a browser that takes longer than this for one figure is taken for dead


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


class BrowserMissing(RuntimeError):
    """There is no Chromium to draw with; the message says what to install. The CSV needs none."""


class RenderError(RuntimeError):
    """The browser did not give the figure, not even after a fresh start."""


# ── the figure at its printed size ─────────────────────────────────────────────────────────────────────


def for_print(figure: go.Figure, venue: str = "icml", columns: int = 1, *, height_in: float | None = None,
              font_pt: float = theme.PRINT_FONT_PT, font: str = "sans") -> go.Figure:
    """A copy laid out at the venue's width, 96 px to the inch, with all text of ``font_pt`` points on paper.

    ``height_in``: inches; default, the figure's own proportions. ``font``: ``sans`` or ``serif``.
    Raises ValueError for an unknown venue or font, and for a figure that was not made with ``mode="print"``.
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
    width = VENUES[venue].width(columns)
    printed = go.Figure(copy.deepcopy(figure))
    grown = theme.points(font_pt) / theme.points(theme.PRINT_FONT_PT)
    own = printed.layout.margin.to_plotly_json()
    printed.update_layout(
        template=theme.template("print", theme.points(font_pt), theme.PRINT_FONTS[font]),
        width=width * theme.PX_PER_INCH, height=(height_in or width * meta["aspect"]) * theme.PX_PER_INCH,
        margin={side: size * grown for side, size in own.items() if side in "lrtb"})
    return printed


def image(figure: go.Figure, kind: Format, venue: str = "icml", columns: int = 1, *, height_in: float | None = None,
          font_pt: float = theme.PRINT_FONT_PT, font: str = "sans", dpi: int = 300,
          origin: dict[str, Any] | None = None) -> bytes:
    """The file of a figure made with ``mode="print"``. ``dpi`` is for PNG; ``origin`` goes into its metadata.

    Raises BrowserMissing, RenderError, and ValueError as ``for_print`` does.
    """
    if kind not in FORMATS:
        raise ValueError(f"format: {kind!r} is not known; expected one of {', '.join(FORMATS)}")
    if not 36 <= dpi <= 2400:
        raise ValueError(f"dpi: {dpi!r}; expected 36 to 2400")
    printed = for_print(figure, venue, columns, height_in=height_in, font_pt=font_pt, font=font)
    scale = dpi / theme.PX_PER_INCH if kind == "png" else 1
    drawn = render(printed, kind, scale)
    return _WRITE_ORIGIN[kind](drawn, origin or {}, printed, dpi)


# ── the browser ────────────────────────────────────────────────────────────────────────────────────────


def find_browser() -> Path:
    """Chromium or a relative of it: BROWSER_PATH, then Kaleido's own download, then PATH. Raises BrowserMissing."""
    from choreographer.browsers.chromium import Chromium

    found = Chromium.find_browser(skip_local=False)
    if found and Path(found).is_file():
        return Path(found)
    where = f"BROWSER_PATH names {found!r}, which is not a file" if found else "no Chromium, Chrome or Edge was found"
    raise BrowserMissing(
        f"PDF, SVG and PNG are drawn by a browser: {where}. Install one with 'apt install chromium' on Debian, "
        "'brew install --cask chromium' on a Mac, or 'kaleido_get_chrome' anywhere. The CSV needs none.")


class _Browser:
    """One Chromium and the thread that talks to it. Any thread may call ``draw``; Kaleido queues the calls."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="figure-export", daemon=True).start()
        try:
            self.kaleido: Kaleido = self._do(_open(find_browser()))
        except BaseException:
            self.loop.call_soon_threadsafe(self.loop.stop)
            raise

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    def draw(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        return self._do(self.kaleido.calc_fig(figure, opts=options))

    def close(self) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.kaleido.close(), self.loop).result(10)
        except Exception:  # noqa: BLE001 - it is being thrown away, whatever state it is in
            pass
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)


async def _open(path: Path) -> Kaleido:
    import kaleido

    class Page(kaleido.PageGenerator):
        # Kaleido prints PDFs with margins of 0.1 in, which push the figure off its own page.
        header = kaleido.PageGenerator.header.replace("</title>", "</title><style>@page { margin: 0 }</style>")

    # Without mathjax=False every start waits for a script from the network.
    browser = kaleido.Kaleido(path=path, timeout=SECONDS, page_generator=Page(mathjax=False))
    await browser.open()
    return browser


_browser: _Browser | None = None
_starting = threading.Lock()


def _running() -> _Browser:
    global _browser
    with _starting:
        if _browser is None:
            _browser = _Browser()
        return _browser


def close_browser(which: _Browser | None = None) -> None:
    """Close the browser that draws; the next figure starts another. ``which``: only if it is still this one."""
    global _browser
    with _starting:
        if _browser is None or (which is not None and which is not _browser):
            return
        closing, _browser = _browser, None
    closing.close()


atexit.register(close_browser)


def render(figure: go.Figure, kind: str, scale: float = 1.0) -> bytes:
    """The figure at its own width and height, times ``scale``. A browser that died is started again, once."""
    from kaleido.errors import KaleidoError

    options = {"format": kind, "width": figure.layout.width, "height": figure.layout.height, "scale": scale}
    figure_json = figure.to_dict()
    for attempt in (1, 2):
        browser = _running()
        try:
            return browser.draw(figure_json, options)
        except KaleidoError as error:  # the browser is well and says that the figure is not
            raise RenderError(f"figure: the browser could not draw it: {error}") from error
        except (Exception, Late) as error:
            close_browser(browser)
            if attempt == 2:
                raise RenderError(f"figure: the browser gave nothing, twice: {error!r}") from error
    raise AssertionError("unreachable")


# ── where it came from ─────────────────────────────────────────────────────────────────────────────────


def origin(figure: go.Figure, *, spec: dict[str, Any] | None = None, command: str | None = None,
           device: str | None = None, **more: Any) -> dict[str, Any]:
    """What a reader needs to make the figure again: the run's spec, the command, device and versions."""
    packages = ("atesc-lab", "torch", "numpy", "pandas", "plotly", "kaleido", "scikit-learn", "umap-learn")
    return {
        "figure": (figure.layout.meta or {}).get("figure"), "command": command, "device": device, "spec": spec, **more,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _pdf_with(file: bytes, facts: dict[str, Any], figure: go.Figure, dpi: int) -> bytes:
    """Replace the document's information by an incremental update (PDF 1.7, 7.5.6): the pages stay untouched."""
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref\s*(\d+)\s*%%EOF\s*$", file, re.DOTALL)
    if trailer is None:
        return file
    size = int(re.search(rb"/Size (\d+)", trailer[1])[1])
    root = re.search(rb"/Root \d+ \d+ R", trailer[1])[0]
    entries = {"Title": _title(figure), "Creator": "ATEsc Lab", "Producer": "ATEsc Lab, Plotly, Kaleido, Chromium",
               "ATEscOrigin": json.dumps(facts, ensure_ascii=False)}
    fields = b" ".join(b"/%s <FEFF%s>" % (key.encode(), value.encode("utf-16-be").hex().upper().encode())
                       for key, value in entries.items())
    body = file if file.endswith(b"\n") else file + b"\n"
    update = b"%d 0 obj\n<<%s>>\nendobj\n" % (size, fields)
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size %d %s /Info %d 0 R /Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
    return body + update + table % (size, len(body), size + 1, root, size, int(trailer[2]), len(body) + len(update))


def _svg_with(file: bytes, facts: dict[str, Any], figure: go.Figure, dpi: int) -> bytes:
    """Say the size in inches, and put the facts into the metadata element that SVG has for them."""
    text = file.decode()
    for side in ("width", "height"):
        inches = getattr(figure.layout, side) / theme.PX_PER_INCH
        text = re.sub(rf'(<svg[^>]*?\b{side}=")[^"]*(")', rf"\g<1>{inches:g}in\g<2>", text, count=1)
    title, origin = (html.escape(words, quote=False) for words in (_title(figure), json.dumps(facts)))
    told = f"<title>{title}</title><metadata>{origin}</metadata>"
    end = text.index(">", text.index("<svg")) + 1
    return (text[:end] + told + text[end:]).encode()


def _png_with(file: bytes, facts: dict[str, Any], figure: go.Figure, dpi: int) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_itxt("Title", _title(figure))
    told.add_itxt("ATEscOrigin", json.dumps(facts, ensure_ascii=False))
    out = io.BytesIO()
    with Image.open(io.BytesIO(file)) as picture:
        picture.convert("RGB").save(out, "PNG", pnginfo=told, dpi=(dpi, dpi), optimize=True)
    return out.getvalue()


_WRITE_ORIGIN = {"pdf": _pdf_with, "svg": _svg_with, "png": _png_with}


def _title(figure: go.Figure) -> str:
    from atesc_core.figures import FIGURES, title

    name = (figure.layout.meta or {}).get("figure", "")
    return title(name) if name in FIGURES else "Figure"


# ── the data ───────────────────────────────────────────────────────────────────────────────────────────


def table(figure: go.Figure) -> pd.DataFrame:
    """What the figure draws, one row a point: what the trace is of, x and y by their titles, and its further data."""
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


def csv(figure: go.Figure) -> str:
    """The figure's data as CSV, full precision."""
    return table(figure).to_csv(index=False, lineterminator="\n")


def bundle(figure: go.Figure, name: str, kinds: Iterable[Format] = ("pdf",), *, origin: dict[str, Any],
           **settings: Any) -> bytes:
    """A zip of the figure in each format, its data (CSV) and its origin (YAML). ``settings`` are ``image``'s."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "figure"
    files = {f"{name}.{kind}": image(figure, kind, origin=origin, **settings) for kind in kinds}
    files[f"{name}.csv"] = csv(figure).encode()
    files[f"{name}.yaml"] = sidecar(origin).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return out.getvalue()


def sidecar(origin: dict[str, Any]) -> str:
    """The origin as YAML, to lie beside the figure."""
    return yaml.safe_dump(origin, sort_keys=False, allow_unicode=True)
