"""Column widths of the venues, and a figure laid out at one of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from atesc_core.figures import theme

VenueName = Literal["icml", "neurips", "cvpr", "ieee"]
FontName = Literal["sans", "serif"]


@dataclass(frozen=True)
class Venue:
    """Widths in inches of a figure in one column and across the page, from the venue's author kit."""

    name: str
    column_in: float
    page_in: float

    def width(self, columns: int) -> float:
        """Width in inches. Raises ValueError if ``columns`` is neither 1 nor 2."""
        if columns not in (1, 2):
            raise ValueError(f"columns: {columns!r}; expected 1 or 2")
        return self.column_in if columns == 1 else self.page_in


VENUES: dict[VenueName, Venue] = {
    "icml": Venue("ICML", 3.25, 6.75),  # two columns of 3.25 in, 0.25 in apart
    "neurips": Venue("NeurIPS", 5.5, 5.5),  # one text column only
    "cvpr": Venue("CVPR", 3.25, 6.875),  # two columns of 3 1/4 in, 5/16 in apart
    "ieee": Venue("IEEE", 3.5, 7.16),  # 21 and 43 picas
}


def for_print(
    figure: go.Figure,
    venue: VenueName = "icml",
    columns: int = 1,
    *,
    height_in: float | None = None,
    font_pt: float = theme.PRINT_FONT_PT,
    font: FontName = "sans",
    width_in: float | None = None,
) -> go.Figure:
    """A copy of the figure at the venue's width, 96 px to the inch.

    Args:
        figure: Made with ``mode="print"``.
        venue: A key of ``VENUES``.
        columns: 1 or 2.
        height_in: Height in inches; the figure's own proportions unless given.
        font_pt: Size of all text, 4 to 24 points.
        font: ``sans`` or ``serif``.
        width_in: Width of a panel in inches, instead of the column's.

    Raises:
        ValueError: The venue, the font or the size is unknown, or the figure was made in another mode.
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
    scale = theme.pt_to_px(font_pt) / theme.pt_to_px(theme.PRINT_FONT_PT)
    margin = printed.layout.margin.to_plotly_json()
    printed.update_layout(
        template=theme.template("print", theme.pt_to_px(font_pt), theme.PRINT_FONTS[font]),
        width=width * theme.PX_PER_INCH,
        height=(height_in or width * meta["aspect"]) * theme.PX_PER_INCH,
        margin={side: size * scale for side, size in margin.items() if side in "lrtb"},
    )
    return printed
