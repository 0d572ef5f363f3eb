"""Step 3's reason: an NTL teacher's BatchNorm statistics lie between ID and OOD, and the generator must match them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from atesc_core import figures
from atesc_core.recording.manifest import TeacherPositions
from atesc_core.teachers.batchnorm import BatchNormReport, Positions
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements
from pages.shared.ui.batchnorm import FAR_DOTS, real_images, with_reports
from pages.shared.ui.chart import chart
from pages.shared.ui.glossary import annotated
from pages.story.context import StoryContext

REASON = (
    "An [[NTL teacher]] learned from batches that are half [[ID]] and half [[OOD]], so its BatchNorm statistics are "
    "those of the mix; an [[SL teacher]]'s are those of ID. The [[generator G]] is asked to match them ([[R_BN]]): "
    "images halfway out of the domain, which is the trap."
)
REASON_STYLE = "font-size:1.15rem;line-height:1.5"


def show_reason(story: StoryContext) -> None:
    """Draw the reason, from the recording or, of a live story, from its teachers. Nothing if the recording lacks it."""
    measured = story.recording.manifest.batchnorm
    if measured is not None:
        lines = [figures.TeacherLine(each.kind, each.layers, _positions(each)) for each in measured.teachers]
        _draw(lines, measured.images.get("id", 0), measured.images.get("ood", 0), story.presenting)
    elif story.group is not None and "control" in story.runs:
        kinds = {story.runs[role].teacher.name: story.runs[role].teacher.kind for role in ("plain", "control")}

        def draw(reports: dict[str, BatchNormReport]) -> None:
            if len(reports) == len(kinds):
                live = [
                    figures.TeacherLine(kinds[name], report.layers, report.positions(report.running))
                    for name, report in reports.items()
                ]
                first = next(iter(reports.values()))
                _draw(live, first.id_images, first.ood_images, story.presenting)

        with_reports("reason of the trap", [name for name in kinds if name in cards()], draw)


def _draw(lines: Sequence[figures.TeacherLine], id_images: int, ood_images: int, presenting: bool) -> None:
    if not any(line.layers for line in lines):
        return
    with elements.card("Why the generator leaves the domain", "BatchNorm statistics of both teachers"):
        left, right = st.columns([2, 3], gap="medium", vertical_alignment="center")
        left.html(f'<p class="atesc" style="{REASON_STYLE}">{annotated(REASON)}</p>')
        with right:
            chart(figures.batchnorm(lines, appearance.mode()), "story batchnorm", height=340)
        if not presenting:
            elements.caption(f"Real images: {real_images(id_images, ood_images)}. {FAR_DOTS}")


def _positions(teacher: TeacherPositions) -> Positions:
    return Positions(
        *(
            np.array(values, float)  # None becomes NaN
            for values in (teacher.mean, teacher.mean_distance, teacher.variance, teacher.variance_distance)
        )
    )
