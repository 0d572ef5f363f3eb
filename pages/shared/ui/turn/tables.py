"""What both kinds of turn are drawn with: headings, image walls, tables of losses and of answers."""

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

COLUMNS = 8  # images in a row of a wall
MAX_CLASSES = 12  # rows of the answers: of more classes, the likeliest
TOTAL = "Total"
PROJECTED = "[[trap projected out|no trap]]"  # the column of the teacher's answers after the projection


def decimal(value: float | None, digits: int) -> str:
    """Return the number with that many decimals and a true minus sign, never −0; empty for None."""
    return "" if value is None else f"{round(float(value), digits) + 0:.{digits}f}".replace("-", "−")


def heading(number: int, text: str, note: str) -> None:
    """Draw a numbered heading. text: may hold [[terms]] of the glossary."""
    st.html(f'<div class="atesc atesc-point"><i>{number}</i><b>{annotated(text)}</b>{elements.muted(note)}</div>')


def paragraph(text: str) -> None:
    """Draw a sentence that may hold [[terms]] of the glossary."""
    st.html(f'<p class="atesc">{annotated(text)}</p>')


def loss_table(*heads: str, rows: Sequence[tuple[str | Html, ...]]) -> None:
    """Draw a table with one loss term per row.

    Args:
        heads: Titles of the columns of numbers.
        rows: The term's name, then its numbers, the last of them in bold; the row named `TOTAL` is set apart.
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
    """Return a term's name with its weight and unweighted value below it. weighted: weight × value."""
    value = decimal(weighted / weight, digits) if weight else "not computed"
    return Html(annotated(text) + "<br>" + elements.muted(f"{weight:g} × {value}"))


def marked_image(indices: np.ndarray) -> int:
    """Return the image that the link marks, if it is among ``indices`` (those on the page), or else the first."""
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
    """Draw images of a batch; a click on one marks it in the link.

    Args:
        run: The run they are of.
        images: The whole batch, (B, 3, H, W) uint8.
        indices: Those to draw.
        marked: The index of the one that is marked.
        titles: Tooltips, one for each image of the batch.
        roles: Whose colour outlines each drawn image.
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
    """Draw what networks answer for one image: a row per class, probabilities in per cent as bars beside the logits.

    Args:
        run: Its teacher's kind gives the teacher's colour.
        names: Of the C classes.
        answers: (C,) logits by title of the column, such as "teacher".
    """
    card = cards().get(run.spec.teacher)
    colours = {
        who: f"--own:var(--role-{card.kind})" if card and who in ("teacher", PROJECTED) else "" for who in answers
    }
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
    """Return a tile with a percentage after the step, and what it was before."""
    return elements.tile(
        label,
        formats.per_cent(after),
        "%",
        measured_on=measured_on,
        change=f"was {formats.per_cent(before)}",
        role=role,
    )


def class_names(run: DistillationRun, logits: np.ndarray) -> Sequence[str]:
    """Return the names of the teacher's classes, or their numbers where its card is gone. logits: (B, C)."""
    card = cards().get(run.spec.teacher)
    return card.class_names if card else tuple(map(str, range(logits.shape[1])))
