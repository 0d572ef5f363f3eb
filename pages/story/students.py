"""Students of a recording at one point in time: progress, accuracies and images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.recording import RecordedRun, Recording, SnapshotArrays
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import gallery

MAX_IN_ROW = 3  # students side by side
WALL_IMAGES, COLUMNS = 24, 8


def show_students(
    recording: Recording, runs: Sequence[RecordedRun], seconds: float, reference: RecordedRun | None = None
) -> None:
    """Draw the state of runs at ``seconds`` after their start, side by side.

    Args:
        recording: the recording of the runs.
        runs: the runs to draw.
        seconds: time since the start of the runs; infinity for the last state.
        reference: a run whose curve is drawn faintly behind the other curves.
    """
    for first in range(0, len(runs), MAX_IN_ROW):
        row = runs[first : first + MAX_IN_ROW]
        columns = st.columns(max(len(row), min(len(runs), MAX_IN_ROW)), gap="medium")
        for column, run in zip(columns, row, strict=False):
            with column, elements.card():
                _show_student(recording, run, seconds, reference if reference is not run else None)


def _show_student(recording: Recording, run: RecordedRun, seconds: float, reference: RecordedRun | None) -> None:
    escape = ESCAPE_NAMES[run.spec.escape.kind]
    epochs = run.epochs_until(seconds)
    elements.row(
        elements.bold(f"{escape[0].upper()}{escape[1:]} student"),
        elements.teacher_chip(run.teacher.kind),
        elements.muted(f"epoch {len(epochs)}/{run.spec.epochs}"),
    )
    st.html(elements.progress_bar(run.progress_at(seconds)))
    behind = [_curve(reference, reference.epochs_until(seconds), ghost=True)] if reference else []
    figure = figures.accuracy([*behind, _curve(run, epochs)], appearance.mode(), run.spec.epochs)
    figure.update_layout(showlegend=False, margin_r=14)
    if len(epochs):
        figure.layout.annotations = ()  # the tiles below show the last values
    chart(figure, f"replay {run.run}", height=250, revision=run.run, label=f"Accuracy of the {run.label}")
    _accuracy_tiles(run, epochs)
    _show_images(recording, run, seconds)


def _curve(run: RecordedRun, epochs: pd.DataFrame, ghost: bool = False) -> figures.Curve:
    kind = run.teacher.kind
    label = f"{ESCAPE_NAMES[run.spec.escape.kind]}, {kind} teacher"
    return figures.Curve(epochs, label, kind, run.spec.escape.kind, ghost, curve_id=run.run)


def _accuracy_tiles(run: RecordedRun, epochs: pd.DataFrame) -> None:
    """Draw the last accuracies. Before the first ones, draw dashes, so that the layout does not change later."""
    tiles = []
    for name in METRIC_NAMES:
        if name not in run.epochs_until():
            continue
        role: elements.Role = "id" if name == "iacc" else "ood"
        images = run.teacher.test_images.get("id" if name == "iacc" else "ood")
        split = f"{formats.count(images)} {role.upper()} images" if images else f"{role.upper()} test"
        value = float(epochs[name].iloc[-1]) if len(epochs) else None
        measured_on = formats.measured_on(split, epoch=len(epochs) or None)
        tiles.append(
            elements.tile(METRIC_NAMES[name], formats.per_cent(value), "%", role=role, measured_on=measured_on)
        )
    st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:1fr 1fr">{"".join(tiles)}</div>')


def _show_images(recording: Recording, run: RecordedRun, seconds: float) -> None:
    snapshot = run.snapshot_at(seconds)
    if snapshot is None:
        st.html(
            f'<div class="atesc atesc-gallery" style="grid-template-columns:repeat({COLUMNS},1fr)">'
            f"{'<div class=atesc-picture><i></i></div>' * WALL_IMAGES}</div>"
        )
        elements.caption("The first synthetic images are kept at the end of epoch 1.")
        return
    arrays = recording.pictures(run, snapshot.epoch)
    scores = arrays.score(run.spec.split.score)
    indices = np.argsort(scores[:WALL_IMAGES], kind="stable")
    fragile = scores <= (np.inf if snapshot.threshold is None else snapshot.threshold)
    gallery(
        arrays.images[indices],
        columns=COLUMNS,
        roles=["fragile" if fragile[index] else "robust" for index in indices],
        titles=image_tooltips(run, arrays, indices),
    )
    elements.row(
        elements.swatch("fragile", f"fragile {formats.per_cent(100 * fragile.mean())} %", outline=True),
        elements.swatch("robust", outline=True),
        elements.muted(formats.measured_on("synthetic", snapshot.images, snapshot.epoch)),
    )


def image_tooltips(run: RecordedRun, arrays: SnapshotArrays, indices: np.ndarray) -> list[str]:
    """Return a tooltip for each of these images: teacher's class and confidence, student's class, min ε."""
    names, largest = run.teacher.class_names, run.spec.split.max_epsilon
    tooltips = []
    for index in indices:
        min_eps = arrays.min_eps[index]
        distance = f"{min_eps:.1f}/255" if np.isfinite(min_eps) else f"> {largest:g}/255"
        tooltips.append(
            f"teacher: {names[arrays.teacher_class[index]]}, {100 * arrays.teacher_confidence[index]:.1f} % sure · "
            f"student: {names[arrays.student_class[index]]} · min ε {distance}"
        )
    return tooltips
