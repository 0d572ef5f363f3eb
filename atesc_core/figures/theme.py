"""The style of every figure: the meaning of colours and line styles, on screen and in print.

The hues are Okabe and Ito's colour-blind-safe palette and never change; the dark theme only lightens
the colours. Sizes in print are points on paper: a figure is laid out at its printed width, 96 px to the inch.
"""

from __future__ import annotations

import hashlib
import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import plotly.graph_objects as go

Mode = Literal["light", "dark", "print"]
MODES: tuple[Mode, ...] = ("light", "dark", "print")

PX_PER_INCH = 96  # CSS pixels, the unit in which Chromium prints
SCREEN_FONT_PX = 13.0
PRINT_FONT_PT = 8.0  # IEEE asks for 8 pt in figures; ICML and CVPR captions are 9 pt
MESSAGE_WIDTH = 18  # characters a line of a message in an empty figure: about 110 px, a quarter of a page has more
UIREVISION = "atesc"  # constant, so that a redraw keeps the user's zoom and selection

COLOURS: dict[str, str] = {
    "id": "#0072B2",
    "ood": "#D55E00",
    "fragile": "#56B4E9",
    "robust": "#E69F00",
    "SL": "#009E73",
    "NTL": "#CC79A7",
    "synthetic": "#8A8F98",
}
DARK_COLOURS: dict[str, str] = {
    "id": "#14A4F5",
    "ood": "#F98224",
    "fragile": "#9ED9FA",
    "robust": "#FFD066",
    "SL": "#1DC99A",
    "NTL": "#E699C3",
    "synthetic": "#A9AFB9",
}
DASHES: dict[str, str] = {
    "none": "dot",
    "ckd": "dash",
    "atesc": "solid",
    "twin": "longdashdot",
    "abd": "dashdot",
    "tadfkd": "longdash",
}


# For up to ten teacher classes or compared settings, which have no fixed colour: Petroff (2021), tested for colour
# blindness.
CLASS_COLOURS = (
    "#3F90DA",
    "#FFA90E",
    "#BD1F01",
    "#94A4A2",
    "#832DB6",
    "#A96B59",
    "#E76300",
    "#B9AC70",
    "#717581",
    "#92DADD",
)

THIN_SPACE = "\u202f"  # between thousands; no line break occurs there
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0  # WCAG 2.2 (AA): contrast of text and of graphics

SCREEN_FONT = "'Inter', 'Source Sans 3', 'Source Sans Pro', system-ui, -apple-system, 'Segoe UI', sans-serif"
# The first font of each stack is shipped and embedded (fonts.py). The others have the same widths, for a program that
# ignores the embedded fonts of an SVG.
PRINT_FONTS: dict[str, str] = {
    "sans": "Arimo, Arial, 'Liberation Sans', Helvetica, sans-serif",
    "serif": "Tinos, 'Times New Roman', 'Liberation Serif', Times, serif",
}


@dataclass(frozen=True)
class Style:
    """Neutral colours, role colours, line widths and marker size (px) of a mode."""

    mode: Mode
    ink: str
    muted: str
    grid: str
    surface: str  # colour of the background, for gaps and halos; the figure itself is transparent on screen
    colours: dict[str, str]
    line_width: float
    thin_width: float
    dot_size: float

    def colour(self, role: str) -> str:
        """Colour of a role or of a neutral part of a figure.

        Roles: ``id``, ``ood``, ``fragile``, ``robust``, ``SL``, ``NTL``, ``synthetic``. Neutral: ``ink``, ``muted``,
        ``grid``, ``surface``.
        """
        return self.colours[role] if role in self.colours else getattr(self, role)

    def outline(self, role: str) -> str:
        """The role's colour as the outline of a shape, with a contrast of 3 to 1 on the surface."""
        return with_contrast(self.colour(role), self.surface, SHAPE_CONTRAST)

    def bar_marker(self, role: str, heights: Iterable[float]) -> dict[str, Any]:
        """The marker of bars of these heights: outlined, except bars of height 0."""
        widths = [self.thin_width if height else 0 for height in heights]
        return {"color": self.colour(role), "line": {"color": self.outline(role), "width": widths}}

    def text_colour(self, role: str) -> str:
        """The role's colour for text, with a contrast of 4.5 to 1 on the surface."""
        return with_contrast(self.colour(role), self.surface, TEXT_CONTRAST)

    def tint(self, role: str, opacity: float) -> str:
        """The role's colour, transparent: ``rgba(...)`` with ``opacity`` in 0..1."""
        return tint(self.colour(role), opacity)


STYLES: dict[Mode, Style] = {
    "light": Style(
        "light", "#1C2530", "#5C6773", "#E7EAEE", "#FFFFFF", COLOURS, line_width=2.5, thin_width=1.25, dot_size=7
    ),
    "dark": Style(
        "dark", "#E8ECF1", "#A3ADB8", "#2C333D", "#181D24", DARK_COLOURS, line_width=2.5, thin_width=1.25, dot_size=7
    ),
    "print": Style(
        "print", "#000000", "#404040", "#E3E3E3", "#FFFFFF", COLOURS, line_width=1.5, thin_width=0.8, dot_size=3.5
    ),
}


def style(mode: Mode) -> Style:
    """The style of a mode. Raises ValueError for a mode that is not light, dark or print."""
    if mode not in STYLES:
        raise ValueError(f"mode: {mode!r} is not known; expected one of {', '.join(MODES)}")
    return STYLES[mode]


def tint(colour: str, opacity: float) -> str:
    """``#RRGGBB`` as ``rgba(r,g,b,opacity)``."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},{opacity:g})"


def mix(colour: str, other: str, share: float) -> str:
    """An opaque mixture ``#RRGGBB`` of two colours: ``share`` (0..1) of the first."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(share * first + (1 - share) * second):02X}" for first, second in pairs)


def contrast(colour: str, other: str) -> float:
    """Contrast ratio of two ``#RRGGBB``, 1 to 21, by WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    low, high = sorted(map(_luminance, (colour, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@cache
def with_contrast(colour: str, surface: str, ratio: float) -> str:
    """``colour`` mixed with just enough black (white on a dark surface) to reach the contrast ``ratio``; same hue."""
    if contrast(colour, surface) >= ratio:
        return colour
    far = max(("#000000", "#FFFFFF"), key=lambda end: contrast(end, surface))
    mixed = (mix(colour, far, share / 100) for share in range(99, 0, -1))
    return next((candidate for candidate in mixed if contrast(candidate, surface) >= ratio), far)


@cache
def template(mode: Mode, font_px: float | None = None, family: str | None = None) -> go.layout.Template:
    """The plotly template of a mode. ``font_px``: size of all text, in px; ``family``: a CSS font stack."""
    chosen = style(mode)
    in_print = mode == "print"
    size = font_px or (pt_to_px(PRINT_FONT_PT) if in_print else SCREEN_FONT_PX)
    font = {"family": family or (PRINT_FONTS["sans"] if in_print else SCREEN_FONT), "size": size, "color": chosen.ink}
    quiet = {"size": size, "color": chosen.muted}
    axis = {
        "automargin": True,
        "showgrid": True,
        "gridcolor": chosen.grid,
        "gridwidth": 0.5 if in_print else 1,
        "zeroline": False,
        "showline": True,
        "linecolor": chosen.muted,
        "linewidth": 0.6 if in_print else 1,
        "ticks": "outside",
        "ticklen": 0.3 * size,
        "tickwidth": 0.6 if in_print else 1,
        "tickcolor": chosen.muted,
        "tickfont": quiet,
        "title": {"font": {"size": size, "color": chosen.ink}, "standoff": 0.6 * size},
    }
    layout = go.Layout(
        font=font,
        colorway=[chosen.muted],
        uirevision=UIREVISION,
        separators=f".{THIN_SPACE}",
        paper_bgcolor="#FFFFFF" if in_print else "rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 0.5 * size, "r": size, "t": (0.3 if in_print else 1) * size, "b": 0.5 * size, "pad": 0},
        xaxis={**axis, "showgrid": False},
        yaxis={**axis, "showline": False, "ticks": "", "ticklabelstandoff": 4},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": size, "color": chosen.ink},
            "itemwidth": 30,
            "tracegroupgap": 0,
            "title": {"text": "", "font": {"size": size}},
        },
        hoverlabel={
            "bgcolor": chosen.surface,
            "bordercolor": chosen.grid,
            "align": "left",
            "font": {"family": font["family"], "size": size, "color": chosen.ink},
        },
        annotationdefaults={"showarrow": False, "font": {"size": size}},
        bargap=0.06,
        hovermode="closest",
        dragmode=False if in_print else "zoom",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": chosen.muted, "activecolor": chosen.ink},
    )
    bar = {"marker": {"colorbar": {"tickfont": quiet, "title": {"font": {"size": size, "color": chosen.ink}}}}}
    return go.layout.Template(layout=layout, data={"scatter": [bar], "scattergl": [bar]})


def trace_id(*parts: object) -> str:
    """A trace's ``uid``, the same in each redraw. Hashed, since Plotly puts it into CSS selectors."""
    return "t" + hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def format_count(items: int) -> str:
    """``20 000``: thousands separated by a thin space, which the fonts of screen and print both have."""
    return f"{items:,}".replace(",", THIN_SPACE)


def format_number(value: float) -> str:
    """A number with three significant digits (two where it has an exponent), a typographic minus and ∞."""
    text = f"{value:.3g}"
    if "e" in text:  # short enough for the margin of a narrow figure: 8.9e−5, not 8.85e−05
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−").replace("inf", "∞")


def format_threshold(threshold: float) -> str:
    """``threshold 3.2``; ``one group`` for a threshold of ∞."""
    return "one group" if math.isinf(threshold) else f"threshold {format_number(threshold)}"


def pt_to_px(size: float) -> float:
    """Typographic points (1/72 inch) as CSS pixels (1/96 inch)."""
    return size * PX_PER_INCH / 72


def new_figure(mode: Mode, name: str, x: str, y: str, aspect: float = 0.64) -> go.Figure:
    """An empty figure in the style of a mode.

    Args:
        mode: light, dark or print.
        name: The figure's name in FIGURES.
        x: Title of the x axis, with its unit.
        y: Title of the y axis, with its unit.
        aspect: Ratio of height to width in print, unless the user sets a height.

    ``layout.meta`` holds all these arguments, for the export and the CSV.
    """
    figure = go.Figure(
        layout={
            "template": _checked_template(mode),
            "uirevision": UIREVISION,
            "meta": {"figure": name, "mode": mode, "x": x, "y": y, "aspect": aspect},
            "xaxis": {"title": {"text": x}},
            "yaxis": {"title": {"text": y}},
        },
        _validate=False,
    )
    # Plotly's check of each property in Python takes a third of the time of a redraw. It stays on in print, so the
    # tests, which draw all figures in all modes, check every figure.
    figure._validate = mode == "print"
    return figure


@cache
def _checked_template(mode: Mode) -> dict[str, object]:
    """The template after plotly's check. Cached: the check takes 6 ms, and a threshold change redraws four figures."""
    checked: dict[str, object] = template(mode).to_plotly_json()
    return checked


def per_cent_axis(**changes: object) -> dict[str, object]:
    """An axis from 0 to 100 %, with room for a line at either end."""
    return {"range": [-2, 102], "tickvals": [0, 20, 40, 60, 80, 100], **changes}


def muted_note(style: Style, text: str, **position: object) -> dict[str, object]:
    """An annotation in the muted colour."""
    return {"text": text, "showarrow": False, "font": {"color": style.muted}, **position}


def show_message(figure: go.Figure, text: str) -> go.Figure:
    """Write ``text`` in the middle of a figure without data, and return the figure. No axis shows invented numbers."""
    own_style = style(figure.layout.meta["mode"])
    lines = "<br>".join(textwrap.wrap(text, MESSAGE_WIDTH))
    note = muted_note(own_style, lines, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.add_annotation(note, bgcolor=own_style.surface, borderpad=4)  # no grid line through the text
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.range is None:
            axis.showticklabels = False
    return figure
