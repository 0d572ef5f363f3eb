"""A wall of small images, sharp at any size, each outlined in its group's colour."""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import streamlit as st

from atesc_core.paths import ASSETS
from pages.shared.ui.chart import Thumbnails, thumbnails
from pages.shared.ui.elements import Role

_mount = st.components.v2.component(
    "atesc_gallery",
    js=(ASSETS / "gallery" / "gallery.js").read_text(),
    css=(ASSETS / "gallery" / "gallery.css").read_text(),
    isolate_styles=False,  # the pictures are dressed by the app's own style sheet
)


def gallery(
    images: np.ndarray,
    *,
    columns: int = 8,
    roles: Sequence[Role | None] | None = None,
    titles: Sequence[str] | None = None,
    words: Sequence[str] | None = None,
) -> None:
    """Show images in rows, in the order given.

    images: (N, 3, s, s), uint8 or float in [0, 1]. roles: outline of each (fragile, robust, id ...).
    titles: what a pointer sees over each image, e.g. class, confidence, score. words: a line under each.
    """
    sheet = thumbnails(images)
    cells = []
    for cell in range(sheet.count):
        own = f"--own:var(--role-{roles[cell]});" if roles and roles[cell] else ""
        title = escape(titles[cell]) if titles else ""
        word = f"<span>{escape(words[cell])}</span>" if words else ""
        style = f"{own}background-position:{sheet.position(cell)}"
        picture = f'<i role="img" aria-label="{title}" title="{title}" style="{style}"></i>'
        cells.append(f'<div class="atesc-picture">{picture}{word}</div>')
    # One sheet as a CSS variable on the grid, rather than a data URI in every cell.
    grid = f"--sheet:url({sheet.source});--sheet-size:{sheet.size}"
    st.html(
        f'<div class="atesc atesc-gallery" style="{grid};grid-template-columns:repeat({_columns(columns, sheet)},1fr)">'
        f"{''.join(cells)}</div>"
    )


def clickable_gallery(
    images: np.ndarray,
    ids: Sequence[int],
    key: str,
    on_press: Callable[[int], None],
    *,
    titles: Sequence[str],
    columns: int = 8,
    roles: Sequence[Role | None] | None = None,
    words: Sequence[str] | None = None,
    chosen: int | None = None,
) -> None:
    """The same wall, each image a button.

    on_press: called with the image's id before the rerun that follows. chosen: the id of the one that is pressed.
    """
    sheet = thumbnails(images)
    cells = [
        {
            "id": int(ids[cell]),
            "position": sheet.position(cell),
            "title": titles[cell],
            "role": roles[cell] if roles else None,
            "word": words[cell] if words else None,
        }
        for cell in range(sheet.count)
    ]

    def tell() -> None:
        if (pressed := st.session_state[key].get("picked")) is not None:
            on_press(int(pressed))

    _mount(
        key=key,
        on_picked_change=tell,
        data={
            "key": key,
            "columns": _columns(columns, sheet),
            "source": sheet.source,
            "size": sheet.size,
            "cells": cells,
            "chosen": chosen,
        },
    )


def _columns(columns: int, sheet: Thumbnails) -> int:
    return min(columns, max(1, sheet.count))
