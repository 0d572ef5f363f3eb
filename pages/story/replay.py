"""A student of a recording as it stood at a time: whose, how far, its accuracies, its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.recording import RecordedRun, Recording, SnapshotArrays
from atesc_core.recording.story import STORY_ROLES, story_role
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import gallery

ACROSS = 3  # students side by side
WALL, COLUMNS = 24, 8


def parts(recording: Recording) -> dict[str, RecordedRun]:
    """part -> its run, where the recording tells the story of one pair; of two that play one part, the first.

    Without a plain student of an NTL teacher there is no story, whatever else there is.
    """
    found: dict[str, RecordedRun] = {}
    for run in recording.manifest.runs:
        found.setdefault(story_role(run.teacher.kind, run.spec.escape.kind) or "", run)
    plain = found.get("plain")
    return {
        name: run
        for name in STORY_ROLES
        if plain
        and (run := found.get(name))
        and (run.teacher.pair, run.teacher.setting) == (plain.teacher.pair, plain.teacher.setting)
    }


def students(recording: Recording, runs: Sequence[RecordedRun], at: float, ghost: RecordedRun | None = None) -> None:
    """Side by side, at a time. ghost: whose curve is drawn faintly behind the others'."""
    for first in range(0, len(runs), ACROSS):
        row = runs[first : first + ACROSS]
        for column, run in zip(st.columns(max(len(row), min(len(runs), ACROSS)), gap="medium"), row, strict=False):
            with column, elements.card():
                _student(recording, run, at, ghost if ghost is not run else None)


def _student(recording: Recording, run: RecordedRun, at: float, ghost: RecordedRun | None) -> None:
    escape = ESCAPE_NAMES[run.spec.escape.kind]
    epochs = run.epochs_until(at)
    elements.row(
        elements.bold(f"{escape[0].upper()}{escape[1:]} student"),
        elements.teacher_chip(run.teacher.kind),
        elements.muted(f"epoch {len(epochs)}/{run.spec.epochs}"),
    )
    st.html(elements.progress_bar(run.progress_at(at)))
    behind = [_curve(ghost, ghost.epochs_until(at), ghost=True)] if ghost else []
    figure = figures.accuracy([*behind, _curve(run, epochs)], appearance.mode(), run.spec.epochs)
    figure.update_layout(showlegend=False, margin_r=14)
    if len(epochs):
        figure.layout.annotations = ()  # the tiles below say the last values
    chart(figure, f"replay {run.run}", height=250, revision=run.run, label=f"Accuracy of the {run.label}")
    _tiles(run, epochs)
    _wall(recording, run, at)


def _curve(run: RecordedRun, epochs: pd.DataFrame, ghost: bool = False) -> figures.Curve:
    kind = run.teacher.kind
    return figures.Curve(
        epochs, f"{ESCAPE_NAMES[run.spec.escape.kind]}, {kind} teacher", kind, run.spec.escape.kind, ghost, uid=run.run
    )


def _tiles(run: RecordedRun, epochs: pd.DataFrame) -> None:
    """The last accuracies; before the first, dashes in the same place, so that nothing moves when they come."""
    names = [name for name in METRIC_NAMES if name in run.epochs_until()]
    tiles = []
    for name in names:
        side = "id" if name == "iacc" else "ood"
        images = run.teacher.test_images.get(side)
        many = f"{formats.count(images)} {side.upper()} images" if images else f"{side.upper()} test"
        of = formats.measured_on(many, epoch=len(epochs) or None)
        value = float(epochs[name].iloc[-1]) if len(epochs) else None
        tiles.append(elements.tile(METRIC_NAMES[name], formats.per_cent(value), "%", role=side, measured_on=of))
    st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:1fr 1fr">{"".join(tiles)}</div>')


def _wall(recording: Recording, run: RecordedRun, at: float) -> None:
    kept = run.snapshot_at(at)
    if kept is None:
        st.html(
            f'<div class="atesc atesc-gallery" style="grid-template-columns:repeat({COLUMNS},1fr)">'
            f"{'<div class=atesc-picture><i></i></div>' * WALL}</div>"
        )
        elements.caption("The first synthetic images are kept at the end of epoch 1.")
        return
    shown = recording.pictures(run, kept.epoch)
    chosen = np.argsort(shown.score(run.spec.split.score)[:WALL], kind="stable")
    fragile = shown.score(run.spec.split.score) <= kept.threshold
    gallery(
        shown.images[chosen],
        columns=COLUMNS,
        roles=["fragile" if fragile[i] else "robust" for i in chosen],
        titles=titles(run, shown, chosen),
    )
    elements.row(
        elements.swatch("fragile", f"fragile {formats.per_cent(100 * fragile.mean())} %", outline=True),
        elements.swatch("robust", outline=True),
        elements.muted(formats.measured_on("synthetic", kept.images, kept.epoch)),
    )


def titles(run: RecordedRun, shown: SnapshotArrays, chosen: np.ndarray) -> list[str]:
    """What a pointer sees over each image: the teacher's class and confidence, the student's class, min ε."""
    names, largest = run.teacher.class_names, run.spec.split.max_epsilon
    told = []
    for index in chosen:
        score = shown.min_eps[index]
        words = f"{score:.1f}/255" if np.isfinite(score) else f"> {largest:g}/255"
        told.append(
            f"teacher: {names[shown.teacher_class[index]]}, {100 * shown.teacher_confidence[index]:.1f} % sure · "
            f"student: {names[shown.student_class[index]]} · min ε {words}"
        )
    return told
