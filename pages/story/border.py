"""Step 1: an ID image is blended into an OOD image, and the teachers' predictions change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from pages.shared.state import url
from pages.shared.ui import appearance, elements
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import gallery
from pages.story.context import StoryContext


@st.fragment
def show_border(story: StoryContext) -> None:
    """Draw the step. The recording must contain its scene, ``manifest.border``."""
    border = story.recording.manifest.border
    assert border is not None
    images, probs = (story.recording.arrays[f"border/{name}"] for name in ("images", "probs"))
    last = len(border.pairs) - 1
    pair = int(url.read_number("pair", 0, 0, last))
    blend = int(np.abs(100 * np.array(border.shares) - url.read_number("blend", 0, 0, 100)).argmin())
    names, chosen = border.class_names, border.pairs[pair]
    left, right = st.columns([2, 3], gap="medium")
    with left, elements.card(height="stretch"):
        _show_blend(images[pair], blend)
        st.select_slider(
            "From ID to OOD",
            [round(100 * share) for share in border.shares],
            format_func=lambda share: f"{share} % OOD",
            **url.bind_widget("blend", round(100 * border.shares[blend]), initial="value"),
        )
        if last and not story.presenting:
            st.segmented_control(
                "ID image",
                range(last + 1),
                required=True,
                format_func=lambda index: elements.plain(border.pairs[index].id_class),
                **url.bind_widget("pair", pair),
            )
        tiles = [
            _prediction_tile(names, kind, probs[index, pair, blend], chosen.label)
            for index, kind in enumerate(border.kinds)
        ]
        st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:1fr 1fr">{"".join(tiles)}</div>')
    with (
        right,
        elements.card(
            "What each teacher predicts",
            f"ID test image of class {chosen.id_class}, OOD test image of class {chosen.ood_class}",
            height="stretch",
        ),
    ):
        curves = pd.DataFrame(
            {"share": 100 * np.array(border.shares)}
            | {kind: 100 * probs[index, pair, :, chosen.label] for index, kind in enumerate(border.kinds)}
        )
        chart(
            figures.border(curves, appearance.mode(), 100 * border.shares[blend]),
            "border",
            height=430,
            revision=pair,
            label="Probability of the ID image's class from ID to OOD",
        )


def _show_blend(images: np.ndarray, blend: int) -> None:
    """Draw the ID image, the blend with index ``blend``, and the OOD image. ``images``: (blends, 3, s, s)."""
    pictures: tuple[tuple[str, int, elements.Role | None], ...] = (
        ("ID", 0, "id"),
        ("blend", blend, None),
        ("OOD", len(images) - 1, "ood"),
    )
    columns = st.container(key="blend").columns([2, 3, 2], vertical_alignment="center")
    for column, (title, index, role) in zip(columns, pictures, strict=True):
        with column:
            gallery(images[[index]], columns=1, roles=[role], titles=[title], captions=[title])


def _prediction_tile(names: tuple[str, ...], kind: elements.Role, probs: np.ndarray, label: int) -> elements.Html:
    """The tile with the prediction of a teacher. ``probs``: (C,); ``label``: the ID image's class."""
    predicted = int(probs.argmax())
    return elements.tile(
        f"{kind} teacher",
        names[predicted],
        measured_on=f"{100 * probs[predicted]:.1f} % sure",
        role=kind,
        change="" if predicted == label else f"was {names[label]}",
    )
