"""Small elements of every page: chips, tiles, tables, cards, links that look like buttons, notices.

Functions that return ``Html`` draw nothing: ``row`` and ``tiles`` draw their results. The other functions draw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from atesc_core.specs.base import JobSpec
from atesc_core.specs.field_help import Badge, describe_field

Role = Literal["id", "ood", "fragile", "robust", "SL", "NTL", "synthetic"]

ROLE_NAMES = {"id": "ID", "ood": "OOD"}

# Status -> the role whose colour its dot has.
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
    """HTML that this app has made, safe to show."""

    __slots__ = ()


def as_html(part: str | Html) -> Html:
    """``Html`` unchanged; any other text with its special characters escaped."""
    return part if isinstance(part, Html) else Html(escape(part))


def bold(text: str) -> Html:
    """Text in bold."""
    return Html(f"<b>{escape(text)}</b>")


def muted(text: str) -> Html:
    """Text in the secondary colour."""
    return Html(f'<span class="atesc-quiet">{escape(text)}</span>')


def chip(text: str, role: Role | None = None) -> Html:
    """A short text in a pill, with a dot in the colour of ``role``."""
    dot = f'<i class="atesc-dot" style="--own:var(--role-{role})"></i>' if role else ""
    return Html(f'<span class="atesc-chip">{dot}{escape(text)}</span>')


def teacher_chip(kind: Literal["SL", "NTL"]) -> Html:
    """The chip of a teacher's kind."""
    return chip(f"{kind} teacher", kind)


def status_chip(status: str, runs: int | None = None) -> Html:
    """The chip of a run's status, or of several runs with this status.

    Args:
        status: a key of ``STATUS_COLOURS``.
        runs: their number, for several runs.

    Raises:
        KeyError: the status is not known.
    """
    live = " atesc-live" if status == "running" else ""
    colour = f"--own:var(--role-{STATUS_COLOURS[status]})"
    text = status if runs is None else f"{runs} {status}"
    return Html(f'<span class="atesc-chip"><i class="atesc-dot{live}" style="{colour}"></i>{text}</span>')


def swatch(role: Role, text: str | None = None, outline: bool = False) -> Html:
    """One entry of a legend: a square in the role's colour and its name.

    Args:
        role: role whose colour the square has.
        text: text next to the square; by default the role's name.
        outline: an outlined square, for reference data that a figure draws as outlines.
    """
    kind = "atesc-square atesc-outline" if outline else "atesc-square"
    text = ROLE_NAMES.get(role, role) if text is None else text
    return Html(
        f'<span class="atesc-line" style="gap:.4em"><i class="{kind}" style="--own:var(--role-{role})"></i>'
        f"{escape(text)}</span>"
    )


def tile(
    label: str,
    value: str,
    unit: str = "",
    *,
    measured_on: str = "",
    help_text: str = "",
    change: str = "",
    role: Role | None = None,
) -> Html:
    """A tile with one number and its name.

    Args:
        label: name of the number.
        value: the number, as text.
        unit: unit after the number.
        measured_on: the split, the number of images and the epoch of the measurement.
        help_text: text of the question mark after the name.
        change: shown after the unit, e.g. ``+1.2``.
        role: role whose colour the tile has.
    """
    colour = f' style="--own:var(--role-{role})"' if role else ""
    hint = f'<span class="atesc-help" tabindex="0" data-help="{escape(help_text)}">?</span>' if help_text else ""
    tail = f'<span class="atesc-tile-unit">{escape(unit)}</span>' if unit else ""
    tail += f'<span class="atesc-tile-change">{escape(change)}</span>' if change else ""
    return Html(
        f'<div class="atesc-tile"{colour}><div class="atesc-tile-label">{escape(label)}{hint}</div>'
        f'<div class="atesc-tile-value">{escape(value)}{tail}</div>'
        f'<div class="atesc-tile-of">{escape(measured_on)}</div></div>'
    )


def progress_bar(share: float, role: Role | None = None) -> Html:
    """A thin bar, filled up to ``share`` (0..1)."""
    colour = f"--own:var(--role-{role});" if role else ""
    return Html(f'<div class="atesc-bar"><i style="{colour}width:{100 * min(max(share, 0), 1):.1f}%"></i></div>')


def header(title: str, lead: str = "") -> None:
    """Draw a page's title and a sentence on the purpose of the page."""
    st.title(plain(title), anchor=False)
    if lead:
        st.html(f'<p class="atesc atesc-lead">{escape(lead)}</p>')


def row(*parts: str | Html) -> None:
    """Draw text and chips in a row: ``row(bold(name), teacher_chip("NTL"), status_chip("running"), "epoch 4/12")``."""
    inside = "".join(part if isinstance(part, Html) else f"<span>{escape(part)}</span>" for part in parts)
    st.html(f'<div class="atesc atesc-line">{inside}</div>')


def tiles(*parts: Html) -> None:
    """Draw tiles (see ``tile``) in a grid."""
    st.html(f'<div class="atesc atesc-tiles">{"".join(map(as_html, parts))}</div>')


DENSE = 9  # columns that find room in the usual size
SENTENCE = 60  # characters of a cell that is not to be one word wide where the table is wider than its place


def table(frame: pd.DataFrame, numbers: Sequence[str] = (), roles: Mapping[str, Role] | None = None) -> None:
    """Draw a table of texts that are already formatted.

    Args:
        frame: the texts; its index is not shown.
        numbers: names of the columns that are aligned to the right.
        roles: column -> role; its colour underlines the column's head.
    """
    roles = roles or {}

    def cell(tag: str, column: str, value: object) -> str:
        kind = "is-number" if column in numbers else "is-sentence" if len(str(value)) > SENTENCE else ""
        align = f' class="{kind}"' if kind else ""
        line = (
            f' style="border-bottom:3px solid var(--role-{roles[column]})"' if tag == "th" and column in roles else ""
        )
        return f"<{tag}{align}{line}>{escape(str(value))}</{tag}>"

    columns = [str(name) for name in frame]
    head = "".join(cell("th", name, name) for name in columns)
    body = "".join(
        "<tr>" + "".join(cell("td", name, value) for name, value in zip(columns, row, strict=True)) + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    dense = " is-dense" if len(columns) > DENSE else ""
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    st.html(f'<div class="atesc atesc-table{dense}"><table>{rows}</table></div>')


def label(text: str) -> None:
    """Draw the name of the element below it, smaller than a heading."""
    st.html(f'<p class="atesc atesc-label">{escape(text)}</p>')


def caption(text: str) -> None:
    """Draw a line of explanation below an image or a number."""
    st.html(f'<p class="atesc atesc-quiet">{escape(text)}</p>')


def text(lines: str) -> None:
    """Draw a text as it stands, with its line breaks; a long one scrolls."""
    style = "white-space:pre-line;max-height:9rem;overflow:auto"
    st.html(f'<p class="atesc" style="{style}">{escape(lines)}</p>')


def card(title: str = "", note: str = "", **layout: Any) -> DeltaGenerator:
    """A bordered container with a title and a note in its first line; ``layout`` is passed to ``st.container``."""
    box = st.container(border=True, **layout)
    if title:
        with box:
            row(bold(title), muted(note))
    return box


def page_button(
    page: str,
    label: str,
    *,
    primary: bool = False,
    width: Literal["content", "stretch"] = "content",
    name: str = "",
    **link: Any,
) -> None:
    """Draw a link to another page that looks like a button; ``link`` is passed to ``st.page_link``.

    A page can have one such link per ``name``, which is the label unless given. Do not use ``st.switch_page``: the
    server changes the page before the browser does, and if the browser's timer then requests a rerun of the old page,
    the new page stays blank (Streamlit 1.67).
    """
    with st.container(key=f"page link {'primary' if primary else 'secondary'} {name or label}", width=width):
        st.page_link(page, label=label, width=width, **link)


def hidden_when_presenting(name: str, **layout: Any) -> DeltaGenerator:
    """A container that is hidden while the page is presented, for preparations and downloads.

    Args:
        name: unique on the page among these containers.
        layout: passed to ``st.container``.
    """
    return st.container(key=f"preparation {name}", **layout)


def empty_state(title: str, next_step: str) -> DeltaGenerator:
    """Draw a notice that there is nothing yet, and what to do next.

    Returns:
        The notice's container, for a button or a link that does the next step.
    """
    box = st.container(border=True, horizontal_alignment="center")
    with box:
        st.html(f'<div class="atesc atesc-empty"><b>{escape(title)}</b><span>{escape(next_step)}</span></div>')
    return box


# Markup in Streamlit's Markdown, wherever it stands: links, images, HTML, code, emphasis, formulas, web addresses.
MARKUP = re.compile(r"[\\\[\]<>`*~$&|!@]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|^[#+-]", re.MULTILINE)


def plain(text: str) -> str:
    """``text``, which may come from outside, as Markdown that shows it as it stands, line by line."""
    return "  \n".join(MARKUP.sub(r"\\\g<0>", text).splitlines())


def notice(kind: Literal["error", "warning", "info"], text: str, *, icon: str, title: str = "") -> None:
    """Draw a notice. No text in it is markup: a link or an image out of a file or an address is shown as text.

    Args:
        kind: its colour.
        text: the message.
        icon: name of its icon, ``:material/NAME:``.
        title: a sentence before it, in bold.
    """
    draw = {"error": st.error, "warning": st.warning, "info": st.info}[kind]
    draw(f"**{plain(title)}**  \n{plain(text)}" if title else plain(text), icon=icon)


def problem(error: str, unaffected: str, next_step: str) -> None:
    """Draw an error in three sentences: what went wrong, what is unaffected, what to do next."""
    notice("error", f"{unaffected} {next_step}", icon=":material/error:", title=error)


BADGES: dict[Badge | None, str] = {"paper": "· paper", "this lab": "· this lab", None: ""}


def setting(path: str, label: str, spec: JobSpec, value: Any) -> dict[str, Any]:
    """``label``, with the badge of ``value``, and ``help`` of a setting's widget.

    The badge is plain text: a screen reader reads a widget's label as it is written, with any markup.

    The badge is the value's that is in the widget now. As the label comes before the value, ask the session state for
    it: ``st.number_input(**setting("epochs", "Epochs", spec, st.session_state.get(key, 8)), value=8, key=key)``. The
    key is the widget's identity, so that another label makes no other widget.

    Args:
        path: the field's dotted name.
        label: the field's name on the page.
        spec: its methods decide which values are published.
        value: the value in the widget.
    """
    field = describe_field(path, spec)
    return {"label": f"{label} {BADGES[field.badge(value)]}".strip(), "help": field.text(value)}
