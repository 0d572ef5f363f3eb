"""A wall of small images, sharp at any size, each outlined in its group's colour."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from pages._parts.chart import thumbnails
from pages._parts.look import Role


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
    columns = min(columns, max(1, sheet.count))
    st.html(
        f'<div class="atesc atesc-gallery" style="{grid};grid-template-columns:repeat({columns},1fr)">'
        f"{''.join(cells)}</div>"
    )
