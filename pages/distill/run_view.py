"""The view of one run: state and controls, curves, images, and the threshold that splits them."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.errors import StoreError
from atesc_core.figures import run_data
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.vocabulary import METRIC_NAMES, SCORE_UNITS
from pages.shared.data import cost
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.state.threshold import choose_threshold, chosen_threshold, threshold_in_view
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.apply_threshold import apply_controls, threshold_warning
from pages.shared.ui.batchnorm import batchnorm_curve
from pages.shared.ui.chart import ThresholdHandle, chart
from pages.shared.ui.epoch_slider import epoch_slider
from pages.shared.ui.image_wall import image_wall
from pages.shared.ui.pause_resume_stop import run_buttons
from pages.shared.ui.polling import is_live
from pages.shared.ui.run_header import run_summary
from pages.shared.ui.run_labels import run_link
from pages.shared.ui.run_panel import (
    ROUNDS_DRAWN,
    comparable_runs,
    cost_tiles,
    curve,
    metric_tile,
    plain_run,
    progress_text,
    run_history,
    status_notice,
)
from pages.shared.ui.turn.card import turn_card


def run_view(run: DistillationRun) -> bool:
    """Draw the whole run. Returns whether its teacher is being measured."""
    run_state(run)
    for part in (status_notice, turn_card, accuracy_tiles):
        with st.container():  # keeps its place while it is empty: otherwise the charts below would be drawn anew
            part(run)
    left, right = st.columns([3, 2])
    with left, elements.card("Student accuracy by epoch", "real test images", height="stretch"):
        accuracy_chart(run)
    with right, elements.card(height="stretch"):
        snapshot = epoch_images(run)
        image_wall(run, snapshot)
    left, right = st.columns(2)
    steps = run_store().rounds(run.id, at_most=ROUNDS_DRAWN)
    note = f"synthetic images, epoch {snapshot.epoch}" if snapshot else ""
    with left, elements.card("Robustness scores", note, height="stretch"):
        score_histogram(run, snapshot)
    with right, elements.card("Student loss", "each round", height="stretch"):
        student_losses(run, steps)
    left, right = st.columns(2)
    with left, elements.card("Generator loss by term", "each round, weighted", height="stretch"):
        chart(figures.losses_generator(steps, appearance.mode(), run.epochs), f"generator-{run.id}", height=420)
    with right, elements.card("What happened", height="stretch"):
        run_history(run)
    with elements.card("Synthetic images between ID and OOD", "by BatchNorm layer"):
        return batchnorm_curve(run)


def run_state(run: DistillationRun) -> None:
    """Draw the run's summary, progress and buttons."""
    left, right = st.columns([3, 2])
    with left:
        elements.row(*run_summary(run))
        elements.row(elements.muted(progress_text(run)))
        if run.fork:
            elements.row(elements.muted(f"{run.label}: parted from run {run.fork.parent} after epoch {run.fork.epoch}"))
            st.page_link(label="Both thresholds side by side", icon=":material/compare_arrows:", **run_link(run))
        if is_live(run):
            st.html(elements.progress_bar(run.progress))
    with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        run_buttons(run)


# ── numbers and curves ──────────────────────────────────────────────────────────────────────────────


def accuracy_tiles(run: DistillationRun) -> None:
    """Draw the last epoch's accuracies, with the difference to the plain run of the same teacher, if there is one."""
    if not run.metrics:
        return
    epochs = run_store().epochs(run.id)
    last = int(epochs["epoch"].iloc[-1])
    plain = plain_run(run)
    tiles = [metric_tile(run, name, last, plain) for name in METRIC_NAMES if name in run.metrics]
    tiles += cost_tiles(run)
    shares = run_store().rounds(run.id, at_most=ROUNDS_DRAWN).groupby("epoch")["fragile_share"].mean().dropna()
    if len(shares):
        tiles.append(
            elements.tile(
                "Fragile",
                formats.per_cent(100 * shares.iloc[-1]),
                "%",
                role="fragile",
                measured_on=f"of the student's images · epoch {shares.index[-1]}",
            )
        )
    tiles.append(
        elements.tile(
            "Images seen",
            formats.count(run.images),
            measured_on=f"of {formats.count(cost.training_image_count(run.spec, run.epochs))} synthetic",
        )
    )
    elements.tiles(*tiles)


def accuracy_chart(run: DistillationRun) -> None:
    """Draw the student's accuracies by epoch; comparable plain runs are faint curves behind them."""
    others = [curve(other, ghost=True) for other in comparable_runs(run)]
    run_curve = curve(run, changes=run_data.threshold_changes(run, run_store()))
    chart(
        figures.accuracy([*others, run_curve], appearance.mode(), run.epochs),
        f"accuracy-{run.id}",
        height=400,
        label="Student accuracy by epoch",
    )
    if others:
        elements.caption("Faint: finished plain students of the same pair and seed.")


def student_losses(run: DistillationRun, steps: pd.DataFrame) -> None:
    """Draw the student's loss on each group, and the share of fragile images, by round."""
    chart(figures.losses_student(steps, appearance.mode(), run.epochs), f"student-{run.id}", height=220)
    elements.row(elements.bold("Fragile share"), elements.muted("of a round's synthetic images"))
    chart(figures.fragile_share(steps, appearance.mode(), run.epochs), f"share-{run.id}", height=190)


# ── images and the threshold between the groups ─────────────────────────────────────────────────────


def epoch_images(run: DistillationRun) -> Snapshot | None:
    """Draw the epoch slider; return the images of the chosen epoch, or None if there are none."""
    epochs = run_store().snapshot_epochs(run.id)
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        elements.row(elements.bold("Synthetic images"))
    if not epochs:
        return None
    with right:
        epoch = epoch_slider(run, epochs, f"epoch {run.id}", label_visibility="collapsed")
    try:
        return load_snapshot(run.id, epoch)
    except StoreError:  # the run has been deleted meanwhile
        return None


def score_histogram(run: DistillationRun, snapshot: Snapshot | None) -> None:
    """Draw the scores of an epoch's images, with a threshold to drag, and the buttons that use it."""
    split, mode = run.spec.split, appearance.mode()
    if snapshot is None:
        chart(figures.scores([], None, mode, score=split.score), f"scores-{run.id}", height=360)
        return
    threshold, values = threshold_in_view(run, snapshot), snapshot.scores[split.score]
    low, high = (0.0, split.max_epsilon) if split.score == "min_eps" else (None, None)
    chart(
        figures.scores(values, threshold, mode, score=split.score, max_epsilon=split.max_epsilon, draw_threshold=False),
        f"scores-{run.id}",
        height=360,
        threshold=(
            ThresholdHandle(threshold, low, high, unit=SCORE_UNITS[split.score], scores=values)
            if math.isfinite(threshold)
            else None
        ),
        on_threshold=partial(choose_threshold, run),
    )
    moved = chosen_threshold(run) not in (None, snapshot.threshold)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not run.spec.escape.splits:
            elements.caption("This run splits nothing: the threshold sorts the picture only.")
        else:
            apply_controls(run, threshold, "" if moved else "Move the threshold first")
        if moved:
            st.button(
                "Back",
                icon=":material/undo:",
                key=f"back {run.id}",
                help="To the threshold that the run has",
                on_click=choose_threshold,
                args=(run, None),
            )
    if moved and run.spec.escape.splits and is_live(run):
        threshold_warning(run.spec.split, threshold)
    if math.isinf(threshold):
        elements.caption("One group: no image is held back. The Robustness page can set a threshold.")
    elif not moved:
        elements.caption("Drag the threshold.")
