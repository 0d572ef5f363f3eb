"""Grids of small images, sharp at any size, each outlined in its group's colour."""

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
    isolate_styles=False,  # the styles of the images are in the app's style sheet
)


def gallery(
    images: np.ndarray,
    *,
    columns: int = 8,
    roles: Sequence[Role | None] | None = None,
    titles: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
) -> None:
    """Draw images in rows, in the given order.

    Args:
        images: (N, 3, s, s), uint8 or float in [0, 1].
        columns: images in a row.
        roles: role of each image (fragile, robust, id, ...); its colour outlines the image.
        titles: tooltip of each image, e.g. class, confidence, score.
        captions: text below each image.
    """
    sheet = thumbnails(images)
    cells = []
    for cell in range(sheet.count):
        colour = f"--own:var(--role-{roles[cell]});" if roles and roles[cell] else ""
        title = escape(titles[cell]) if titles else ""
        caption = f"<span>{escape(captions[cell])}</span>" if captions else ""
        style = f"{colour}background-position:{sheet.position(cell)}"
        picture = f'<i role="img" aria-label="{title}" title="{title}" style="{style}"></i>'
        cells.append(f'<div class="atesc-picture">{picture}{caption}</div>')
    # The sheet is one CSS variable of the grid, instead of a data URI in every cell.
    grid = f"--sheet:url({sheet.source});--sheet-size:{sheet.size}"
    st.html(
        f'<div class="atesc atesc-gallery" style="{grid};grid-template-columns:repeat({_columns(columns, sheet)},1fr)">'
        f"{''.join(cells)}</div>"
    )


def clickable_gallery(
    images: np.ndarray,
    ids: Sequence[int] | np.ndarray,
    key: str,
    on_click: Callable[[int], None],
    *,
    titles: Sequence[str],
    columns: int = 8,
    roles: Sequence[Role | None] | None = None,
    captions: Sequence[str] | None = None,
    chosen: int | None = None,
) -> None:
    """The same as ``gallery``, but each image is a button.

    Args:
        images: (N, 3, s, s), uint8 or float in [0, 1].
        ids: (N,) the argument of ``on_click`` for each image.
        key: key of the component, unique on the page.
        on_click: called after a click, before the rerun.
        titles: tooltip of each image.
        columns: images in a row.
        roles: role of each image; its colour outlines the image.
        captions: text below each image.
        chosen: id of the image that is drawn as pressed.
    """
    sheet = thumbnails(images)
    cells = [
        {
            "id": int(ids[cell]),
            "position": sheet.position(cell),
            "title": titles[cell],
            "role": roles[cell] if roles else None,
            "caption": captions[cell] if captions else None,
        }
        for cell in range(sheet.count)
    ]

    def forward() -> None:
        if (clicked := st.session_state[key].get("picked")) is not None:
            on_click(int(clicked))

    _mount(
        key=key,
        on_picked_change=forward,
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
