"""Elements of both traces (generator and student): headings, image grids, tables of losses and of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import streamlit as st

from atesc_core.distillation.turns import probabilities
from atesc_core.runs import DistillationRun
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.elements import Html
from pages.shared.ui.gallery import clickable_gallery
from pages.shared.ui.glossary import annotated

COLUMNS = 8  # images in a row
MAX_CLASSES = 12  # largest number of rows in the table of answers: the most probable classes
TOTAL = "Total"


def decimal(value: float | None, digits: int) -> str:
    """Return a number as text with this many decimals and a real minus sign, never −0; empty for None."""
    return "" if value is None else f"{round(float(value), digits) + 0:.{digits}f}".replace("-", "−")


def heading(number: int, text: str, note: str) -> None:
    """Draw a numbered heading. ``text`` may contain [[terms]] of the glossary."""
    st.html(f'<div class="atesc atesc-point"><i>{number}</i><b>{annotated(text)}</b>{elements.muted(note)}</div>')


def paragraph(text: str) -> None:
    """Draw a sentence. ``text`` may contain [[terms]] of the glossary."""
    st.html(f'<p class="atesc">{annotated(text)}</p>')


def loss_table(*heads: str, rows: Sequence[tuple[str | Html, ...]]) -> None:
    """Draw a table with one loss term per row.

    Args:
        heads: Titles of the number columns.
        rows: For each term its name, then its numbers; the last number is bold. A line separates the row `TOTAL`.
    """
    titles = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = []
    for name, *values in rows:
        cells = "".join(f"<td>{elements.as_html(value)}</td>" for value in values)
        kind = ' class="is-total"' if name == TOTAL else ""
        body.append(f'<tr{kind}><th scope="row">{elements.as_html(name)}</th>{cells}</tr>')
    st.html(
        f'<table class="atesc atesc-sums"><thead><tr><td></td>{titles}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def weighted_term(text: str, weight: float, weighted: float, digits: int) -> Html:
    """Return a loss term's name, with its weight and unweighted value below. ``weighted``: weight × value."""
    value = decimal(weighted / weight, digits) if weight else "not computed"
    return Html(annotated(text) + "<br>" + elements.muted(f"{weight:g} × {value}"))


def marked_image(indices: np.ndarray) -> int:
    """Return the index of the marked image: the link's image if it is one of ``indices``, or else the first."""
    linked = int(url.read_number("image", indices[0], 0, indices[-1]))
    return linked if linked in indices else int(indices[0])


def image_wall(
    run: DistillationRun,
    images: np.ndarray,
    indices: np.ndarray,
    marked: int,
    titles: Sequence[str],
    roles: Sequence[elements.Role] | None = None,
) -> None:
    """Draw images of a batch. A click on an image marks it, in the link.

    Args:
        run: The run of the batch.
        images: The whole batch, (B, 3, H, W) uint8.
        indices: Indices of the images to draw.
        marked: Index of the marked image.
        titles: One tooltip for each image of the batch.
        roles: Role of each drawn image; its colour outlines the image.
    """
    clickable_gallery(
        images[indices],
        indices.tolist(),
        f"turn wall {run.id}",
        lambda index: url.set_parameter("image", index),
        titles=[titles[index] for index in indices],
        columns=COLUMNS,
        roles=roles,
        chosen=marked,
    )


def answer_table(run: DistillationRun, names: Sequence[str], answers: Mapping[str, np.ndarray]) -> None:
    """Draw the answers of networks to one image: per class, the logit and the probability in per cent, as a bar.

    Args:
        run: The kind of its teacher gives the colour of the teacher's columns.
        names: Names of the C classes.
        answers: Title of the column, such as "teacher" -> (C,) logits.
    """
    card = cards().get(run.spec.teacher)
    colours = {who: f"--own:var(--role-{card.kind})" if card and who == "teacher" else "" for who in answers}
    shares = {who: probabilities(logits) for who, logits in answers.items()}
    likeliest = np.sort(np.argsort(-np.max(list(shares.values()), axis=0), kind="stable")[:MAX_CLASSES])
    heads = "".join(f'<th scope="col" colspan="2">{annotated(who)}</th>' for who in answers)
    rows = []
    for label in likeliest:
        cells = "".join(
            _answer_cells(100 * shares[who][label], logits[label], label == logits.argmax(), colours[who])
            for who, logits in answers.items()
        )
        rows.append(f'<tr><th scope="row">{escape(str(names[label]))}</th>{cells}</tr>')
    st.html(
        f'<table class="atesc atesc-answers"><thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f'</table><p class="atesc atesc-quiet">{annotated("Probability in %, small: [[logits]]")}</p>'
    )


def _answer_cells(per_cent: float, logit: float, is_largest: bool, colour: str) -> str:
    kind = ' class="is-most"' if is_largest else ""
    return (
        f"<td><small>{decimal(logit, 1)}</small></td>"
        f'<td{kind} style="--share:{per_cent:.1f}%;{colour}">{per_cent:.1f}</td>'
    )


def change_tile(label: str, before: float, after: float, measured_on: str, role: elements.Role | None = None) -> Html:
    """Return a tile with a percentage after the step and the percentage before it."""
    return elements.tile(
        label,
        formats.per_cent(after),
        "%",
        measured_on=measured_on,
        change=f"was {formats.per_cent(before)}",
        role=role,
    )


def class_names(run: DistillationRun, logits: np.ndarray) -> Sequence[str]:
    """Return the names of the teacher's classes, or their numbers if the teacher was deleted. ``logits``: (B, C)."""
    card = cards().get(run.spec.teacher)
    return card.class_names if card else tuple(map(str, range(logits.shape[1])))
