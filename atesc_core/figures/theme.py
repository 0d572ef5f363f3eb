"""One visual language for every figure: what a colour and a line style mean, on screen and in print.

The hues are Okabe and Ito's colour-blind-safe palette and never change; the dark theme only lightens
them. Sizes in print are points on paper: a figure is laid out at its printed width, 96 px to the inch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import plotly.graph_objects as go

Mode = Literal["light", "dark", "print"]
MODES: tuple[Mode, ...] = ("light", "dark", "print")

PX_PER_INCH = 96  # CSS pixels, which is what Chromium prints by
SCREEN_FONT_PX = 13.0
PRINT_FONT_PT = 8.0  # IEEE asks for 8 pt in figures; ICML and CVPR captions are 9 pt
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
DASHES: dict[str, str] = {"none": "dot", "ckd": "dash", "atesc": "solid", "abd": "dashdot", "tadfkd": "longdash"}


# For up to ten teacher classes, which have no fixed colour: Petroff (2021), tested for colour blindness.
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

THIN = "\u202f"  # between thousands; it breaks no line
TEXT, SHAPE = 4.5, 3.0  # WCAG 2.2 (AA): contrast of text, and of what a chart draws

SCREEN_FONT = "'Inter', 'Source Sans 3', 'Source Sans Pro', system-ui, -apple-system, 'Segoe UI', sans-serif"
# The first of each is shipped and embedded (fonts.py). The others are as wide: for a program that reads an SVG
# and leaves its fonts aside.
PRINT_FONTS: dict[str, str] = {
    "sans": "Arimo, Arial, 'Liberation Sans', Helvetica, sans-serif",
    "serif": "Tinos, 'Times New Roman', 'Liberation Serif', Times, serif",
}


@dataclass(frozen=True)
class Look:
    """Everything about a mode that a figure needs: neutral colours, line widths and marker sizes in px."""

    mode: Mode
    ink: str
    muted: str
    grid: str
    surface: str  # what lies behind the figure, for gaps and halos; the figure itself is transparent on screen
    colours: dict[str, str]
    line: float
    thin: float
    dot: float

    def colour(self, role: str) -> str:
        """Colour of ``id``, ``ood``, ``fragile``, ``robust``, ``SL``, ``NTL``, ``synthetic``, or a neutral
        (``ink``, ``muted``, ``grid``, ``surface``)."""
        return self.colours[role] if role in self.colours else getattr(self, role)

    def rim(self, role: str) -> str:
        """The role's colour as a shape's outline, 3 to 1 on the surface: what is filled with it can then be seen."""
        return standing_out(self.colour(role), self.surface, SHAPE)

    def filled(self, role: str, heights: Iterable[float]) -> dict[str, Any]:
        """The marker of bars of these heights; one that has none gets no rim."""
        widths = [self.thin if height else 0 for height in heights]
        return {"color": self.colour(role), "line": {"color": self.rim(role), "width": widths}}

    def text(self, role: str) -> str:
        """The role's colour as text is written in it, 4.5 to 1 on the surface."""
        return standing_out(self.colour(role), self.surface, TEXT)

    def tint(self, role: str, opacity: float) -> str:
        """The role's colour, see-through: ``rgba(...)`` with ``opacity`` in 0..1."""
        return tint(self.colour(role), opacity)


LOOKS: dict[Mode, Look] = {
    "light": Look("light", "#1C2530", "#5C6773", "#E7EAEE", "#FFFFFF", COLOURS, line=2.5, thin=1.25, dot=7),
    "dark": Look("dark", "#E8ECF1", "#A3ADB8", "#2C333D", "#181D24", DARK_COLOURS, line=2.5, thin=1.25, dot=7),
    "print": Look("print", "#000000", "#404040", "#E3E3E3", "#FFFFFF", COLOURS, line=1.5, thin=0.8, dot=3.5),
}


def look(mode: Mode) -> Look:
    """Raises ValueError for a mode that is not light, dark or print."""
    if mode not in LOOKS:
        raise ValueError(f"mode: {mode!r} is not known; expected one of {', '.join(MODES)}")
    return LOOKS[mode]


def tint(colour: str, opacity: float) -> str:
    """``#RRGGBB`` as ``rgba(r,g,b,opacity)``."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},{opacity:g})"


def mix(colour: str, other: str, share: float) -> str:
    """``share`` (0..1) of one ``#RRGGBB`` in the other: opaque, where a tint would let the page through."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(share * one + (1 - share) * two):02X}" for one, two in pairs)


def contrast(colour: str, other: str) -> float:
    """Of two ``#RRGGBB``, 1 to 21, by WCAG 2.2."""
    low, high = sorted(map(_luminance, (colour, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@cache
def standing_out(colour: str, surface: str, ratio: float) -> str:
    """``colour``, with as much black in it (on a dark surface, white) as that contrast asks for: the hue stays."""
    if contrast(colour, surface) >= ratio:
        return colour
    far = max(("#000000", "#FFFFFF"), key=lambda end: contrast(end, surface))
    mixed = (mix(colour, far, share / 100) for share in range(99, 0, -1))
    return next((own for own in mixed if contrast(own, surface) >= ratio), far)


@cache
def template(mode: Mode, font_px: float | None = None, family: str | None = None) -> go.layout.Template:
    """The plotly template of a mode. ``font_px``: size of all text, in px; ``family``: a CSS font stack."""
    style = look(mode)
    in_print = mode == "print"
    size = font_px or (points(PRINT_FONT_PT) if in_print else SCREEN_FONT_PX)
    font = {"family": family or (PRINT_FONTS["sans"] if in_print else SCREEN_FONT), "size": size, "color": style.ink}
    quiet = {"size": size, "color": style.muted}
    axis = {
        "automargin": True,
        "showgrid": True,
        "gridcolor": style.grid,
        "gridwidth": 0.5 if in_print else 1,
        "zeroline": False,
        "showline": True,
        "linecolor": style.muted,
        "linewidth": 0.6 if in_print else 1,
        "ticks": "outside",
        "ticklen": 0.3 * size,
        "tickwidth": 0.6 if in_print else 1,
        "tickcolor": style.muted,
        "tickfont": quiet,
        "title": {"font": {"size": size, "color": style.ink}, "standoff": 0.6 * size},
    }
    layout = go.Layout(
        font=font,
        colorway=[style.muted],
        uirevision=UIREVISION,
        separators=f".{THIN}",
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
            "font": {"size": size, "color": style.ink},
            "itemwidth": 30,
            "tracegroupgap": 0,
            "title": {"text": "", "font": {"size": size}},
        },
        hoverlabel={
            "bgcolor": style.surface,
            "bordercolor": style.grid,
            "align": "left",
            "font": {"family": font["family"], "size": size, "color": style.ink},
        },
        annotationdefaults={"showarrow": False, "font": {"size": size}},
        bargap=0.06,
        hovermode="closest",
        dragmode=False if in_print else "zoom",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": style.muted, "activecolor": style.ink},
    )
    bar = {"marker": {"colorbar": {"tickfont": quiet, "title": {"font": {"size": size, "color": style.ink}}}}}
    return go.layout.Template(layout=layout, data={"scatter": [bar], "scattergl": [bar]})


def uid(*parts: object) -> str:
    """A trace's lasting identity. Plotly puts it into CSS selectors, so names from users are hashed."""
    return "t" + hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def count(items: int) -> str:
    """``20 000``: a thin space, which both the screen's fonts and the shipped ones have."""
    return f"{items:,}".replace(",", THIN)


def number(value: float) -> str:
    """Three significant digits, with a true minus."""
    return f"{value:.3g}".replace("-", "−")


def points(size: float) -> float:
    """Points on paper as CSS pixels."""
    return size * PX_PER_INCH / 72


def blank(mode: Mode, name: str, x: str, y: str, aspect: float = 0.64) -> go.Figure:
    """An empty figure of the house style. ``name``: its name in FIGURES; ``x``, ``y``: axis titles with units;
    ``aspect``: height over width on paper, unless the user asks for another.

    ``layout.meta`` carries all of these: the export and the CSV read them.
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
    # Plotly checks each property in Python, which is a third of the time of a redraw. In print it does, and so every
    # figure is checked by the tests, which draw all of them in all modes.
    figure._validate = mode == "print"
    return figure


@cache
def _checked_template(mode: Mode) -> dict[str, object]:
    """The template as plotly checked it, once: it takes 6 ms, and a move of the threshold redraws four figures."""
    return template(mode).to_plotly_json()


def per_cent_axis(**changes: object) -> dict[str, object]:
    """An axis from 0 to 100 %, with room for a line that lies on either end."""
    return {"range": [-2, 102], "tickvals": [0, 20, 40, 60, 80, 100], **changes}


def note(style: Look, text: str, **place: object) -> dict[str, object]:
    """An annotation in the quiet colour, e.g. what an empty figure waits for."""
    return {"text": text, "showarrow": False, "font": {"color": style.muted}, **place}


def empty(figure: go.Figure, text: str) -> go.Figure:
    """Say in the middle of an axis without data what it waits for."""
    mode = figure.layout.meta["mode"]
    figure.add_annotation(note(look(mode), text, x=0.5, y=0.5, xref="paper", yref="paper"))
    return figure
