"""Step 4: a threshold on min ε splits the synthetic images into fragile and robust."""

from __future__ import annotations

import numpy as np
import streamlit as st

from atesc_core import figures
from atesc_core.figures.scores import bin_edges
from atesc_core.recording import RecordedRun, SnapshotArrays
from atesc_core.recording.manifest import RecordedSnapshot
from pages.shared.state import url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ThresholdHandle, chart
from pages.shared.ui.gallery import gallery
from pages.story.context import StoryContext
from pages.story.students import image_tooltips

MAX_IMAGES, COLUMNS = 32, 8  # largest number of images of a group; images in a row


@st.fragment
def show_split(story: StoryContext) -> None:
    """Draw the step."""
    run = story.runs.get("atesc", story.runs["plain"])
    snapshot = _first_split_snapshot(run)
    if snapshot is None:
        elements.empty_state("No synthetic images yet", "A run keeps its first ones at the end of its first epoch.")
        return
    arrays = story.recording.pictures(run, snapshot.epoch)
    edges = bin_edges("min_eps", [arrays.min_eps], run.spec.split.max_epsilon)
    end = float(edges[-1])
    by_min_eps = run.spec.split.score == "min_eps"
    default = snapshot.threshold if by_min_eps and snapshot.threshold is not None else end / 4
    threshold = round(url.read_number("threshold", default, 0.0, end), 1)
    left, right = st.columns([3, 1.1], gap="medium")
    with left, elements.card():
        _threshold_chart(run, snapshot.epoch, arrays.min_eps, edges, threshold)
        st.slider(
            "ε",
            0.0,
            end,
            step=0.1,
            format="ε = %.1f/255",
            label_visibility="collapsed",
            **url.bind_widget("threshold", threshold, initial="value"),
        )
    with right, st.container(key="story-groups"):
        st.html("<style>.st-key-story-groups .atesc-tiles { grid-template-columns: 1fr }</style>")
        _group_tiles(run, snapshot.epoch, arrays, threshold)
    if by_min_eps and snapshot.threshold is None:
        elements.caption("At this epoch the run held no image back. The threshold is yours to move.")
    _image_walls(run, arrays, threshold)


def _first_split_snapshot(run: RecordedRun) -> RecordedSnapshot | None:
    """The snapshot of the last epoch before the split: the first split gets images like these."""
    unsplit = run.spec.escape.warmup_epochs if run.spec.escape.kind != "none" else run.spec.epochs
    return next((snapshot for snapshot in reversed(run.snapshots) if snapshot.epoch <= max(unsplit, 1)), None)


def _threshold_chart(run: RecordedRun, epoch: int, min_eps: np.ndarray, edges: np.ndarray, threshold: float) -> None:
    """Draw the histogram of min ε, with a threshold that the user can drag."""
    figure = figures.scores(
        min_eps, threshold, appearance.mode(), max_epsilon=run.spec.split.max_epsilon, edges=edges, draw_threshold=False
    )
    chart(
        figure,
        "story scores",
        height=300,
        revision=epoch,
        label="min ε of the synthetic images",
        on_threshold=lambda value: url.set_parameter("threshold", f"{value:g}"),
        threshold=ThresholdHandle(threshold, 0.0, float(edges[-1]), 0.1, "ε =", "/255", min_eps),
    )


def _groups(min_eps: np.ndarray, threshold: float) -> tuple[tuple[elements.Role, np.ndarray], ...]:
    """Both groups with their masks, (N,) bool."""
    return ("fragile", min_eps <= threshold), ("robust", min_eps > threshold)


def _group_tiles(run: RecordedRun, epoch: int, arrays: SnapshotArrays, threshold: float) -> None:
    """Draw the share of each group, and the share of its images with the label that the teacher gives OOD images."""
    target, tiles = run.teacher.target, []
    for role, mask in _groups(arrays.min_eps, threshold):
        tiles.append(
            elements.tile(
                role.capitalize(),
                formats.per_cent(100 * mask.mean()),
                "%",
                role=role,
                measured_on=f"{mask.sum()} of {len(mask)} synthetic · epoch {epoch}",
            )
        )
        if target is not None:
            share = 100 * (arrays.teacher_class[mask] == target).mean() if mask.any() else None
            tiles.append(
                elements.tile(
                    f"of them with the trap label, {run.teacher.class_names[target]}",
                    formats.per_cent(share),
                    "%",
                    role=role,
                    measured_on=f"of {mask.sum()} {role} images",
                )
            )
    elements.tiles(*tiles)


def _image_walls(run: RecordedRun, arrays: SnapshotArrays, threshold: float) -> None:
    """Draw images of both groups, nearest to the threshold first, with the teacher's labels."""
    order = np.argsort(arrays.min_eps, kind="stable")
    for (role, mask), column in zip(_groups(arrays.min_eps, threshold), st.columns(2, gap="medium"), strict=True):
        nearest = order[mask[order]][:: -1 if role == "fragile" else 1][:MAX_IMAGES]
        note = "nearest to the threshold first, the teacher's label below"
        with column, elements.card(role.capitalize(), note, height="stretch"):
            if not len(nearest):
                elements.caption("No image on this side of the threshold.")
                continue
            gallery(
                arrays.images[nearest],
                columns=COLUMNS,
                roles=[role] * len(nearest),
                titles=image_tooltips(run, arrays, nearest),
                captions=[run.teacher.class_names[label] for label in arrays.teacher_class[nearest]],
            )
