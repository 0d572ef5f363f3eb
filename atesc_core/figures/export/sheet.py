"""Figures at their printed size: one figure or several panels, drawn once as SVG with the shipped fonts.

The preview, the PDF and the PNG are all made from this SVG (files.py).
"""

from __future__ import annotations

import html
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree

import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.export import browser, fonts
from atesc_core.figures.export.points import merge_points
from atesc_core.figures.export.venues import VENUES, FontName, VenueName, for_print

PANEL_GAP_IN = 0.12  # between two panels
MIN_PANEL_IN = 0.4  # [this lab] a panel's height


@dataclass(frozen=True)
class Sheet:
    """Figures drawn at their printed size, ready to become a file."""

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
        """Characters that the shipped font lacks. They are printed in a font of this machine."""
        return fonts.missing(self.text, self.font)

    def svg(self, inside: str = "") -> str:
        """The sheet as SVG, sized in inches, on white. ``inside``: SVG elements to put before the picture."""
        inches = (
            f'{name}="{side / theme.PX_PER_INCH:g}in"'
            for name, side in (("width", self.width), ("height", self.height))
        )
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return (
            f'<svg {spaces} {" ".join(inches)} viewBox="0 0 {self.width:g} {self.height:g}">{inside}'
            f'<rect width="100%" height="100%" style="fill:#FFFFFF"/>{self.body}</svg>'
        )


def draw_sheet(
    figures: go.Figure | Sequence[go.Figure],
    venue: VenueName = "icml",
    columns: int = 1,
    *,
    height_in: float | None = None,
    font_pt: float = theme.PRINT_FONT_PT,
    font: FontName = "sans",
    across: int = 2,
    labels: Sequence[str] = (),
    stop: threading.Event | None = None,
) -> Sheet:
    """Draw figures made with ``mode="print"`` at their printed size.

    Args:
        figures: One figure, or several that become panels (a), (b) ...
        venue: A key of ``VENUES``.
        columns: 1 for the width of a column, 2 for the width of the page.
        height_in: Height of the sheet in inches; the figures' own proportions unless given.
        font_pt: Size of all text, in points.
        font: ``sans`` or ``serif``.
        across: Number of panels in a row.
        labels: Texts next to the panels' letters.
        stop: Set it to stop the drawing.

    Raises:
        ValueError: As ``for_print`` does, or the height is too small for the panels.
        BrowserMissingError: There is no browser to draw with.
        RenderError: The browser failed.
        DrawingStoppedError: ``stop`` was set.
    """
    panels = [figures] if isinstance(figures, go.Figure) else list(figures)
    across = min(across, len(panels))
    letter_px = 1.6 * theme.pt_to_px(font_pt) if len(panels) > 1 else 0.0  # px above a panel, for its letter
    full, gap = VENUES[venue].width(columns) if venue in VENUES else 1.0, PANEL_GAP_IN * theme.PX_PER_INCH
    width_in = (full - PANEL_GAP_IN * (across - 1)) / across
    rows = [list(enumerate(panels))[first : first + across] for first in range(0, len(panels), across)]
    natural = [width_in * max((panel.layout.meta or {}).get("aspect", 1) for _, panel in row) for row in rows]
    used_in = (letter_px * len(rows) + gap * (len(rows) - 1)) / theme.PX_PER_INCH
    scale = (height_in - used_in) / sum(natural) if height_in else 1.0
    least_in = used_in + MIN_PANEL_IN * sum(natural) / min(natural)
    if height_in and height_in < least_in:
        needed = math.ceil(100 * least_in) / 100
        row_count = f"{len(rows)} row{'s' * (len(rows) > 1)}"
        raise ValueError(f"height_in: {height_in:g}; expected {needed:g} in or more for {row_count} of panels")
    body, top = "", 0.0
    for row, height in zip(rows, natural, strict=True):
        for column, (index, panel) in enumerate(row):
            printed = for_print(
                panel, venue, columns, width_in=width_in, height_in=height * scale, font_pt=font_pt, font=font
            )
            left = column * (width_in * theme.PX_PER_INCH + gap)
            if letter_px:
                label = labels[index] if index < len(labels) else ""
                body += _letter(index, label, left, top + 0.75 * letter_px, font_pt, font)
            body += merge_points(browser.draw(printed, stop)).replace(
                "<svg ", f'<svg x="{left:g}" y="{top + letter_px:g}" ', 1
            )
        top += letter_px + height * scale * theme.PX_PER_INCH + gap
    return Sheet(_title(panels), body, full * theme.PX_PER_INCH, top - gap, font)


def _letter(index: int, label: str, x: float, y: float, font_pt: float, font: str) -> str:
    family = theme.PRINT_FONTS[font].replace("'", "")
    text = f'<tspan style="font-weight:700">({chr(ord("a") + index)})</tspan> {html.escape(label)}'.strip()
    return (
        f'<text x="{x:g}" y="{y:g}" style="font-family: {family}; font-size: {theme.pt_to_px(font_pt):g}px; '
        f'fill: {theme.style("print").ink}">{text}</text>'
    )


def figure_names(figures: go.Figure | Sequence[go.Figure]) -> list[str]:
    """The names in FIGURES of the figure, or of each of several; empty for a figure without a name."""
    panels = [figures] if isinstance(figures, go.Figure) else figures
    return [(panel.layout.meta or {}).get("figure", "") for panel in panels]


def _title(panels: Sequence[go.Figure]) -> str:
    from atesc_core.figures import FIGURES, title

    return "; ".join(dict.fromkeys(title(name) if name in FIGURES else "Figure" for name in figure_names(panels)))
