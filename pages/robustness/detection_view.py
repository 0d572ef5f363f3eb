"""How well a score detects OOD images, among real validation images and among synthetic images. For display only.

Synthetic images have no true domain: the oracle, a domain classifier, labels them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.figures.run_data import available_scores, labelled_scores
from atesc_core.robustness.detection import labelled, rates, roc
from atesc_core.runs import Snapshot
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import SCORE_NAMES
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart


def detection_view(
    snapshot: Snapshot, score: str, threshold: float, suggested: Mapping[str, float], real: Report
) -> None:
    """Draw the score's ROC curves, its rates on synthetic images, and every score's AUROC.

    Args:
        snapshot: the synthetic images.
        score: name of the score.
        threshold: threshold of the rates.
        suggested: rule -> suggested threshold, marked on the curves.
        real: complete report on the teacher, with the attack on real validation images.
    """
    by_source = labelled_scores(snapshot, score, real)
    note = (
        f"robust as a sign of OOD, by {SCORE_NAMES[score]} · {_sides(by_source['real'][1], 'real validation images')}"
        f" · {_sides(by_source['synthetic'][1], 'synthetic images, by the oracle')}, epoch {snapshot.epoch}"
    )
    with elements.card("Detection", note):
        left, right = st.columns([3, 2], gap="large")
        with left:
            chart(figures.roc(by_source, threshold, appearance.mode(), suggestions=suggested), "roc", height=400)
            elements.tiles(*_tiles(snapshot, by_source["synthetic"], threshold))
        with right:
            elements.label("AUROC of every score")
            st.dataframe(
                _aurocs(snapshot, real),
                placeholder="–",
                hide_index=True,
                width="stretch",
                column_config={
                    "real": st.column_config.NumberColumn("real validation", format="%.3f"),
                    "synthetic": st.column_config.NumberColumn("synthetic", format="%.3f"),
                },
            )
            elements.caption(
                "Below 0.5 a score points the other way: it calls ID images robust. The oracle is a domain "
                "classifier on the teacher's features, fitted on real training images: what could be found "
                "at best. No run can be split by it."
            )


def _sides(is_ood: np.ndarray, images: str) -> str:
    return f"{formats.count(int((~is_ood).sum()))} ID and {formats.count(int(is_ood.sum()))} OOD {images}"


def _tiles(snapshot: Snapshot, synthetic: tuple[np.ndarray, np.ndarray], threshold: float) -> list[elements.Html]:
    at_threshold, is_ood = rates(*synthetic, threshold), synthetic[1]
    auroc = _auroc(synthetic)
    return [
        elements.tile(
            "AUROC, synthetic",
            "–" if auroc is None else f"{auroc:.3f}",
            measured_on=(
                f"{len(is_ood)} images, epoch {snapshot.epoch}, by the oracle"
                if auroc is not None
                else f"the oracle puts all {len(is_ood)} images of epoch {snapshot.epoch} on one side"
            ),
        ),
        elements.tile(
            "Precision, synthetic",
            *_share(at_threshold.precision),
            measured_on=(f"OOD by the oracle, of {at_threshold.robust} robust synthetic images"),
        ),
        elements.tile(
            "Recall, synthetic",
            *_share(at_threshold.recall),
            measured_on=(f"robust, of {int(is_ood.sum())} synthetic images that are OOD by the oracle"),
        ),
    ]


def real_tiles(score: str, threshold: float, real: Report) -> list[elements.Html]:
    """AUROC, precision and recall on real validation images, as tiles."""
    at_threshold = rates(*labelled(real.id.score(score), real.ood.score(score)), threshold)
    images = len(real.id.score(score)), len(real.ood.score(score))
    return [
        elements.tile(
            "AUROC",
            f"{real.auroc(score):.3f}",
            measured_on=f"real validation images: {images[0]} ID, {images[1]} OOD",
            help_text=("How often an OOD image scores more robust than an ID image, whatever the threshold"),
        ),
        elements.tile(
            "Precision",
            *_share(at_threshold.precision),
            measured_on=f"of {at_threshold.robust} robust real validation images are OOD",
            help_text="Of “robust means OOD”, at this threshold",
        ),
        elements.tile(
            "Recall",
            *_share(at_threshold.recall),
            measured_on=f"of {images[1]} OOD validation images are robust",
            help_text="Of “robust means OOD”, at this threshold",
        ),
    ]


def _share(value: float | None) -> tuple[str, str]:
    return formats.per_cent(None if value is None else 100 * value), "%"


def _auroc(scores: tuple[np.ndarray, np.ndarray]) -> float | None:
    """AUROC of scores (N,) and OOD labels (N,); None if all images have the same label."""
    return None if scores[1].all() or not scores[1].any() else roc(*scores).auroc


@lru_cache(maxsize=8)  # independent of the threshold
def _aurocs(snapshot: Snapshot, real: Report) -> pd.DataFrame:
    """A row for each score: its name, AUROC on real validation images, AUROC on synthetic ones by the oracle."""
    rows = [
        (
            SCORE_NAMES[name],
            *(_auroc(labelled_values) for labelled_values in labelled_scores(snapshot, name, real).values()),
        )
        for name in available_scores(snapshot, real)
    ]
    return pd.DataFrame(rows, columns=["score", "real", "synthetic"])
