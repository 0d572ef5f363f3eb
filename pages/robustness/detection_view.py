"""How well a score finds OOD: on real test images, and on synthetic ones by the oracle's verdict. For display only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.figures.run_data import available_scores, labelled_scores
from atesc_core.robustness.detection import Rates, labelled, rates, roc
from atesc_core.runs import Snapshot
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import SCORE_NAMES
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart


def detection_view(shown: Snapshot, score: str, line: float, suggested: Mapping[str, float], real: Report) -> None:
    """The score's ROC curves, its rates at the line on synthetic images, and every score's AUROC."""
    both = labelled_scores(shown, score, real)
    note = (
        f"robust as a sign of OOD, by {SCORE_NAMES[score]} · {_sides(both['real'][1], 'real test images')} · "
        f"{_sides(both['synthetic'][1], 'synthetic images, by the oracle')}, epoch {shown.epoch}"
    )
    with elements.card("Detection", note):
        left, right = st.columns([3, 2], gap="large")
        with left:
            chart(figures.roc(both, line, appearance.mode(), suggestions=suggested), "roc", height=400)
            elements.tiles(*_tiles(shown, both["synthetic"], line))
        with right:
            elements.label("AUROC of every score")
            st.dataframe(
                _aurocs(shown, real),
                hide_index=True,
                width="stretch",
                column_config={
                    "real": st.column_config.NumberColumn("real test", format="%.3f"),
                    "synthetic": st.column_config.NumberColumn("synthetic", format="%.3f"),
                },
            )
            elements.caption(
                "Below 0.5 a score points the other way: it calls ID images robust. The oracle is a domain "
                "classifier on the teacher's features, fitted on real training images: what could be found "
                "at best. No run can be split by it."
            )


def _sides(is_ood: np.ndarray, what: str) -> str:
    return f"{formats.count(int((~is_ood).sum()))} ID and {formats.count(int(is_ood.sum()))} OOD {what}"


def _tiles(shown: Snapshot, synthetic: tuple[np.ndarray, np.ndarray], line: float) -> list[elements.Html]:
    found, is_ood = rates(*synthetic, line), synthetic[1]
    area = _auroc(synthetic)
    return [
        elements.tile(
            "AUROC, synthetic",
            "–" if area is None else f"{area:.3f}",
            measured_on=(
                f"{len(is_ood)} images, epoch {shown.epoch}, by the oracle"
                if area is not None
                else f"the oracle puts all {len(is_ood)} images of epoch {shown.epoch} on one side"
            ),
        ),
        elements.tile(
            "Precision, synthetic",
            *_share(found.precision),
            measured_on=(f"OOD by the oracle, of {found.robust} robust synthetic images"),
        ),
        elements.tile(
            "Recall, synthetic",
            *_share(found.recall),
            measured_on=(f"robust, of {int(is_ood.sum())} synthetic images that are OOD by the oracle"),
        ),
    ]


def real_tiles(score: str, line: float, real: Report) -> list[elements.Html]:
    """The same on real test images."""
    found: Rates = rates(*labelled(real.id.score(score), real.ood.score(score)), line)
    images = len(real.id.score(score)), len(real.ood.score(score))
    return [
        elements.tile(
            "AUROC",
            f"{real.auroc(score):.3f}",
            measured_on=f"real test images: {images[0]} ID, {images[1]} OOD",
            help=("How often an OOD image scores more robust than an ID image, whatever the threshold"),
        ),
        elements.tile(
            "Precision",
            *_share(found.precision),
            measured_on=f"of {found.robust} robust real test images are OOD",
            help="Of “robust means OOD”, at this threshold",
        ),
        elements.tile(
            "Recall",
            *_share(found.recall),
            measured_on=f"of {images[1]} OOD test images are robust",
            help="Of “robust means OOD”, at this threshold",
        ),
    ]


def _share(value: float | None) -> tuple[str, str]:
    return formats.per_cent(None if value is None else 100 * value), "%"


def _auroc(part: tuple[np.ndarray, np.ndarray]) -> float | None:
    """None where all images are on one side."""
    return None if part[1].all() or not part[1].any() else roc(*part).auroc


@lru_cache(maxsize=8)  # the line has no part in it
def _aurocs(shown: Snapshot, real: Report) -> pd.DataFrame:
    """A row a score: its name, AUROC on real test images, AUROC on synthetic ones by the oracle."""
    rows = [
        (SCORE_NAMES[name], *(_auroc(part) for part in labelled_scores(shown, name, real).values()))
        for name in available_scores(shown, real)
    ]
    return pd.DataFrame(rows, columns=["score", "real", "synthetic"])
