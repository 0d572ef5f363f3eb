"""Small pieces of every page: chips, tiles, tables, cards, links that look like buttons, notices.

What returns ``Html`` is put together by the caller and drawn by ``row`` or ``tiles``; the others draw at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from atesc_core.specs.fields import describe_field

Role = Literal["id", "ood", "fragile", "robust", "SL", "NTL", "synthetic"]

ROLE_NAMES = {"id": "ID", "ood": "OOD"}

# Role whose colour a status's dot has; the word beside the dot says the same.
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


def as_html(part: str | Html) -> Html:
    """Markup as it is, other text with its special characters escaped."""
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


def status_chip(status: str) -> Html:
    """The chip of a run's status.

    Args:
        status: a key of ``STATUS_COLOURS``.

    Raises:
        KeyError: for any other word.
    """
    live = " atesc-live" if status == "running" else ""
    colour = f"--own:var(--role-{STATUS_COLOURS[status]})"
    return Html(f'<span class="atesc-chip"><i class="atesc-dot{live}" style="{colour}"></i>{status}</span>')


def swatch(role: Role, text: str | None = None, outline: bool = False) -> Html:
    """One entry of a legend: a square in the role's colour and its name.

    Args:
        role: whose colour the square has.
        text: what stands beside it; the role's name unless given.
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
    """One number with its name.

    Args:
        label: the name.
        value: the number, as text.
        unit: behind the number.
        measured_on: which split, how many images, which epoch the number belongs to.
        help_text: text of the question mark beside the name.
        change: e.g. ``+1.2``, behind the unit.
        role: whose colour the tile has.
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
    """A thin bar that is filled to ``share``, 0..1."""
    colour = f"--own:var(--role-{role});" if role else ""
    return Html(f'<div class="atesc-bar"><i style="{colour}width:{100 * min(max(share, 0), 1):.1f}%"></i></div>')


def header(title: str, lead: str = "") -> None:
    """Draw a page's title and the sentence that says what the page is for."""
    st.title(title, anchor=False)
    if lead:
        st.html(f'<p class="atesc atesc-lead">{escape(lead)}</p>')


def row(*parts: str | Html) -> None:
    """Draw text and chips in a row: ``row(bold(name), teacher_chip("NTL"), status_chip("running"), "epoch 4/12")``."""
    inside = "".join(part if isinstance(part, Html) else f"<span>{escape(part)}</span>" for part in parts)
    st.html(f'<div class="atesc atesc-line">{inside}</div>')


def tiles(*parts: Html) -> None:
    """Draw several ``tile`` in a grid."""
    st.html(f'<div class="atesc atesc-tiles">{"".join(map(as_html, parts))}</div>')


def table(frame: pd.DataFrame, numbers: Sequence[str] = (), roles: Mapping[str, Role] | None = None) -> None:
    """Draw a table of texts that are already formatted.

    Args:
        frame: the texts; its index is not shown.
        numbers: columns that are aligned to the right.
        roles: column -> role whose colour underlines the column's head.
    """
    roles = roles or {}

    def cell(tag: str, column: str, value: object) -> str:
        align = ' class="is-number"' if column in numbers else ""
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
    st.html(f'<div class="atesc atesc-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def label(text: str) -> None:
    """Draw the name of what stands below, smaller than a heading."""
    st.html(f'<p class="atesc atesc-label">{escape(text)}</p>')


def caption(text: str) -> None:
    """Draw a line of explanation below a picture or a number."""
    st.html(f'<p class="atesc atesc-quiet">{escape(text)}</p>')


def card(title: str = "", note: str = "", **layout: Any) -> DeltaGenerator:
    """A bordered container with a title and a note in its first line; ``layout`` is passed to ``st.container``."""
    box = st.container(border=True, **layout)
    if title:
        with box:
            row(bold(title), muted(note))
    return box


def page_button(
    page: str, label: str, *, primary: bool = False, width: Literal["content", "stretch"] = "content", **link: Any
) -> None:
    """Draw a link to another page that looks like a button; ``link`` is passed to ``st.page_link``.

    A page may hold one such link per ``label``. ``st.switch_page`` is used nowhere: it changes the page on the server
    before the browser knows, and a rerun that the browser's timer still requests for the old page leaves the new one
    blank (Streamlit 1.67).
    """
    with st.container(key=f"page link {'primary' if primary else 'secondary'} {label}", width=width):
        st.page_link(page, label=label, width=width, **link)


def hidden_when_presenting(name: str, **layout: Any) -> DeltaGenerator:
    """A container that a projector does not show: preparations and downloads.

    Args:
        name: a name that no other such container of the page has.
        layout: passed to ``st.container``.
    """
    return st.container(key=f"backstage {name}", **layout)


def empty_state(title: str, next_step: str) -> DeltaGenerator:
    """Draw that there is nothing yet, and what to do; the button that does it goes into the returned container."""
    box = st.container(border=True, horizontal_alignment="center")
    with box:
        st.html(f'<div class="atesc atesc-empty"><b>{escape(title)}</b><span>{escape(next_step)}</span></div>')
    return box


def problem(error: str, kept: str, next_step: str) -> None:
    """Draw an error in three sentences: what went wrong, what is still there, what to do."""
    st.error(f"**{error}**  \n{kept} {next_step}", icon=":material/error:")


def source_badge(source: str | None) -> str:
    """Where a default comes from, as Markdown for a widget's label."""
    return {"paper": ":gray-badge[paper]", "lab": ":primary-badge[this lab]", None: ""}[source]


def setting(path: str, label: str, kind: str = "dfq") -> dict[str, Any]:
    """``label`` and ``help`` of the widget of a RunSpec field: ``st.slider(**setting("split.steps", "PGD steps"))``.

    Args:
        path: the dotted field.
        label: its name on the page.
        kind: ``synthesis.kind``, on which the synthesis' fields depend.
    """
    sentence, source = describe_field(path, kind)
    return {"label": f"{label} {source_badge(source)}".strip(), "help": sentence}
