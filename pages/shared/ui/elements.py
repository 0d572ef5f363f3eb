"""TODO: what this module is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any, Literal

import pandas as pd
import streamlit as st

from atesc_core.specs.fields import describe_field

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


def as_html(part: str | Html) -> Html:
    return part if isinstance(part, Html) else Html(escape(part))


def bold(words: str) -> Html:
    return Html(f"<b>{escape(words)}</b>")


def muted(words: str) -> Html:
    return Html(f'<span class="atesc-quiet">{escape(words)}</span>')


def chip(words: str, role: Role | None = None) -> Html:
    """A short word in a pill, with its role's colour as a dot."""
    dot = f'<i class="atesc-dot" style="--own:var(--role-{role})"></i>' if role else ""
    return Html(f'<span class="atesc-chip">{dot}{escape(words)}</span>')


def teacher_chip(kind: Literal["SL", "NTL"]) -> Html:
    return chip(f"{kind} teacher", kind)


def status_chip(word: str) -> Html:
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


def header(title: str, lead: str = "") -> None:
    """A page's name and the one sentence that says what it is for."""
    st.title(title, anchor=False)
    if lead:
        st.html(f'<p class="atesc atesc-lead">{escape(lead)}</p>')


def row(*parts: str | Html) -> None:
    """Text and chips in a row: `line(bold(name), chip("NTL", "NTL"), status("running"), "epoch 4/12")`."""
    inside = "".join(part if isinstance(part, Html) else f"<span>{escape(part)}</span>" for part in parts)
    st.html(f'<div class="atesc atesc-line">{inside}</div>')


def tiles(*those: Html) -> None:
    st.html(f'<div class="atesc atesc-tiles">{"".join(map(as_html, those))}</div>')


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
            row(bold(title), muted(note))
    return box


def page_button(
    page: str, label: str, *, primary: bool = False, width: Literal["content", "stretch"] = "content", **more: Any
) -> None:
    """A link to another page that looks like a button, once a page under one ``label``; ``more`` is st.page_link's.

    ``st.switch_page`` is used nowhere: it changes the page on the server, and what a timer of the browser asks for in
    the name of the old one, before it hears of that, leaves the new one blank (Streamlit 1.67).
    """
    with st.container(key=f"page way {'primary' if primary else 'secondary'} {label}", width=width):
        st.page_link(page, label=label, width=width, **more)


def hidden_when_presenting(name: str, **layout) -> AbstractContextManager:
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


def badge(source: str | None) -> str:
    """Where a default comes from, as Markdown for a widget's label."""
    return {"paper": ":gray-badge[paper]", "ours": ":primary-badge[ours]", None: ""}[source]


def setting(path: str, label: str, kind: str = "dfq") -> dict[str, str]:
    """label and help of the widget for a RunSpec field: `st.slider(**setting("split.steps", "PGD steps"))`.
    ``kind`` is the synthesis.kind, for fields of the synthesis."""
    sentence, source = describe_field(path, kind)
    return {"label": f"{label} {badge(source)}".strip(), "help": sentence}
