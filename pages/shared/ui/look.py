"""The visual language of every page: headers, chips, tiles, empty states, and how numbers are written.

Markup is built from escaped text only: a `str` given to any function here is text, never HTML. What the
functions themselves make is `Html`, which the others take as it is.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from html import escape
from typing import Any, Literal

import pandas as pd
import streamlit as st

from atesc_core.figures import theme
from atesc_core.paths import ASSETS
from atesc_core.specs.run import describe_field

Role = Literal["id", "ood", "fragile", "robust", "SL", "NTL", "synthetic"]
ROLE_NAMES = {"id": "ID", "ood": "OOD"}

# Colour of a status's dot; the word beside it says the same.
STATUS_COLOURS = {
    "queued": "synthetic",
    "running": "id",
    "paused": "robust",
    "done": "SL",
    "stopped": "synthetic",
    "interrupted": "robust",
    "failed": "ood",
}


class Html(str):
    """Markup made here, safe to show."""

    __slots__ = ()


# ── theme ───────────────────────────────────────────────────────────────────────────────────────────


def mode() -> Literal["light", "dark"]:
    """What the visitor's browser shows now; figures take it as their `mode`."""
    return "dark" if st.context.theme.type == "dark" else "light"


def colour(role: Role) -> str:
    """Hex colour of a role in the present theme."""
    return theme.look(mode()).colour(role)


def dress() -> None:
    """Give the whole app its style sheet: once a run, in app.py."""
    st.html(f"<style>{_style_sheet()}</style>")


@cache
def _style_sheet() -> str:
    """look.css with its colours and fonts inside: nothing to serve, and no other font flashes up first.

    Each colour holds both themes, so that a switch shows at once. Streamlit's client keeps a message this long,
    and a rerun sends its name only.
    """
    sheet = (ASSETS / "look" / "look.css").read_text()
    for font in (ASSETS / "fonts").glob("*.woff2"):
        data = base64.b64encode(font.read_bytes()).decode()
        sheet = sheet.replace(f'url("{font.name}")', f'url("data:font/woff2;base64,{data}")')
    light, dark = theme.look("light"), theme.look("dark")
    pairs = {f"role-{role}": (own, dark.colours[role]) for role, own in light.colours.items()}
    pairs |= {"atesc-ink": (light.ink, dark.ink), "atesc-surface": (light.surface, dark.surface)}
    variables = "".join(f"--{name}:light-dark({own[0]},{own[1]});" for name, own in pairs.items())
    return f":root{{{variables}}}{sheet}"


# ── pieces: each makes Html ─────────────────────────────────────────────────────────────────────────


def text(part: str | Html) -> Html:
    return part if isinstance(part, Html) else Html(escape(part))


def bold(words: str) -> Html:
    return Html(f"<b>{escape(words)}</b>")


def quiet(words: str) -> Html:
    return Html(f'<span class="atesc-quiet">{escape(words)}</span>')


def chip(words: str, role: Role | None = None) -> Html:
    """A short word in a pill, with its role's colour as a dot."""
    dot = f'<i class="atesc-dot" style="--own:var(--role-{role})"></i>' if role else ""
    return Html(f'<span class="atesc-chip">{dot}{escape(words)}</span>')


def teacher(kind: Literal["SL", "NTL"]) -> Html:
    return chip(f"{kind} teacher", kind)


def status(word: str) -> Html:
    """queued, running, paused, done, stopped, interrupted or failed. Raises KeyError for another word."""
    live = " atesc-live" if word == "running" else ""
    own = f"--own:var(--role-{STATUS_COLOURS[word]})"
    return Html(f'<span class="atesc-chip"><i class="atesc-dot{live}" style="{own}"></i>{word}</span>')


def swatch(role: Role, words: str | None = None, outline: bool = False) -> Html:
    """One entry of a legend. outline: the role stands for reference data, drawn as outlines."""
    kind = "atesc-square atesc-outline" if outline else "atesc-square"
    words = ROLE_NAMES.get(role, role) if words is None else words
    return Html(
        f'<span class="atesc-line" style="gap:.4em"><i class="{kind}" style="--own:var(--role-{role})"></i>'
        f"{escape(words)}</span>"
    )


def tile(
    label: str, value: str, unit: str = "", *, of: str = "", help: str = "", change: str = "", role: Role | None = None
) -> Html:
    """One number. of: what it is of (which split, how many images, which epoch); change: e.g. "+1.2"."""
    own = f' style="--own:var(--role-{role})"' if role else ""
    hint = f'<span class="atesc-help" tabindex="0" data-help="{escape(help)}">?</span>' if help else ""
    tail = f'<span class="atesc-tile-unit">{escape(unit)}</span>' if unit else ""
    tail += f'<span class="atesc-tile-change">{escape(change)}</span>' if change else ""
    return Html(
        f'<div class="atesc-tile"{own}><div class="atesc-tile-label">{escape(label)}{hint}</div>'
        f'<div class="atesc-tile-value">{escape(value)}{tail}</div>'
        f'<div class="atesc-tile-of">{escape(of)}</div></div>'
    )


def bar(share: float, role: Role | None = None) -> Html:
    """How far something is, 0..1, as a thin bar."""
    own = f"--own:var(--role-{role});" if role else ""
    return Html(f'<div class="atesc-bar"><i style="{own}width:{100 * min(max(share, 0), 1):.1f}%"></i></div>')


# ── what a page shows ───────────────────────────────────────────────────────────────────────────────


def header(title: str, lead: str = "") -> None:
    """A page's name and the one sentence that says what it is for."""
    st.title(title, anchor=False)
    if lead:
        st.html(f'<p class="atesc atesc-lead">{escape(lead)}</p>')


def line(*parts: str | Html) -> None:
    """Text and chips in a row: `line(bold(name), chip("NTL", "NTL"), status("running"), "epoch 4/12")`."""
    inside = "".join(part if isinstance(part, Html) else f"<span>{escape(part)}</span>" for part in parts)
    st.html(f'<div class="atesc atesc-line">{inside}</div>')


def tiles(*those: Html) -> None:
    st.html(f'<div class="atesc atesc-tiles">{"".join(map(text, those))}</div>')


def table(frame: pd.DataFrame, numbers: Sequence[str] = (), roles: Mapping[str, Role] | None = None) -> None:
    """The frame as it is written. numbers: columns that stand to the right; roles: whose colour a column's head has."""
    roles = roles or {}

    def cell(kind: str, name: str, words: object) -> str:
        right = ' class="is-number"' if name in numbers else ""
        own = f' style="border-bottom:3px solid var(--role-{roles[name]})"' if kind == "th" and name in roles else ""
        return f"<{kind}{right}{own}>{escape(str(words))}</{kind}>"

    head = "".join(cell("th", name, name) for name in frame)
    body = "".join(
        "<tr>" + "".join(cell("td", name, words) for name, words in zip(frame, row, strict=True)) + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    st.html(f'<div class="atesc atesc-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def label(words: str) -> None:
    """The quiet name of what stands below it, where a heading would be too loud."""
    st.html(f'<p class="atesc atesc-label">{escape(words)}</p>')


def caption(words: str) -> None:
    """What a picture or number above is of."""
    st.html(f'<p class="atesc atesc-quiet">{escape(words)}</p>')


def card(title: str = "", note: str = "", **layout) -> AbstractContextManager:
    """A bordered container, with its name and a quiet note in its first line; `layout` is st.container's."""
    box = st.container(border=True, **layout)
    if title:
        with box:
            line(bold(title), quiet(note))
    return box


def way(
    page: str, label: str, *, primary: bool = False, width: Literal["content", "stretch"] = "content", **more: Any
) -> None:
    """A link to another page that looks like a button, once a page under one ``label``; ``more`` is st.page_link's.

    ``st.switch_page`` is used nowhere: it changes the page on the server, and what a timer of the browser asks for in
    the name of the old one, before it hears of that, leaves the new one blank (Streamlit 1.67).
    """
    with st.container(key=f"page way {'primary' if primary else 'secondary'} {label}", width=width):
        st.page_link(page, label=label, width=width, **more)


def backstage(name: str, **layout) -> AbstractContextManager:
    """A container of what a projector does not show: what prepares a lesson, or takes something home. ``name``: in
    words, one a page; ``layout`` is st.container's."""
    return st.container(key=f"backstage {name}", **layout)


def empty(title: str, next_step: str) -> AbstractContextManager:
    """Nothing here yet, and what to do about it. Put the button that does it inside the returned container."""
    box = st.container(border=True, horizontal_alignment="center")
    with box:
        st.html(f'<div class="atesc atesc-empty"><b>{escape(title)}</b><span>{escape(next_step)}</span></div>')
    return box


def problem(wrong: str, kept: str, to_do: str) -> None:
    """An error in three sentences: what was wrong, what was kept, what to do."""
    st.error(f"**{wrong}**  \n{kept} {to_do}", icon=":material/error:")


# ── settings ────────────────────────────────────────────────────────────────────────────────────────


def badge(source: str | None) -> str:
    """Where a default comes from, as Markdown for a widget's label."""
    return {"paper": ":gray-badge[paper]", "ours": ":primary-badge[ours]", None: ""}[source]


def setting(path: str, label: str, kind: str = "dfq") -> dict[str, str]:
    """label and help of the widget for a RunSpec field: `st.slider(**setting("split.steps", "PGD steps"))`.
    ``kind`` is the synthesis.kind, for fields of the synthesis."""
    sentence, source = describe_field(path, kind)
    return {"label": f"{label} {badge(source)}".strip(), "help": sentence}


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def per_cent(value: float | None) -> str:
    """0..100 with one decimal, without the sign: the unit goes where the tile or axis has it."""
    return "–" if value is None else f"{value:.1f}"


count = theme.count  # as figures write it


def duration(seconds: float | None) -> str:
    """`45 s`, `1 min 40 s`, `2 h 05 min`; `–` when unknown."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def of(what: str, images: int | None = None, epoch: int | None = None) -> str:
    """What a number is of: `ID test · 1 000 images · epoch 6`."""
    parts: Sequence[str] = [what]
    if images is not None:
        parts = [*parts, f"{count(images)} images"]
    if epoch is not None:
        parts = [*parts, f"epoch {epoch}"]
    return " · ".join(parts)
