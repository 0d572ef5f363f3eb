"""One run, as it stands: what it is and does, its curves, its images, the line that splits them."""

from __future__ import annotations

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
from pages.shared.state import threshold as lines
from pages.shared.state import url
from pages.shared.state.threshold import threshold_in_view
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ThresholdHandle, chart
from pages.shared.ui.image_wall import image_wall
from pages.shared.ui.polling import is_live
from pages.shared.ui.run_header import run_summary
from pages.shared.ui.run_labels import run_link
from pages.shared.ui.run_panel import (
    ROUNDS_DRAWN,
    comparable_runs,
    curve,
    metric_tile,
    plain_run,
    progress_text,
    run_buttons,
    run_history,
    status_notice,
)
from pages.shared.ui.turn.card import turn_card


def panel(run: DistillationRun) -> None:
    """The whole run."""
    head(run)
    status_notice(run)
    turn_card(run)
    accuracy_tiles(run)
    left, right = st.columns([3, 2])
    with left, elements.card("Student accuracy by epoch", "real test images", height="stretch"):
        accuracy(run)
    with right, elements.card(height="stretch"):
        shown = scrubbed(run)
        image_wall(run, shown)
    left, right = st.columns(2)
    steps = run_store().rounds(run.id, at_most=ROUNDS_DRAWN)
    with (
        left,
        elements.card("Robustness scores", f"synthetic images, epoch {shown.epoch}" if shown else "", height="stretch"),
    ):
        scores(run, shown)
    with right, elements.card("Student loss by group", "each round", height="stretch"):
        student(run, steps)
    left, right = st.columns(2)
    with left, elements.card("Generator loss by term", "each round, weighted", height="stretch"):
        chart(figures.losses_generator(steps, appearance.mode(), run.epochs), f"generator-{run.id}", height=420)
    with right, elements.card("What happened", height="stretch"):
        run_history(run)


# ── what it is, and what can be asked of it ─────────────────────────────────────────────────────────


def head(run: DistillationRun) -> None:
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
    """The last epoch's accuracies, beside those of the plain run of the same teacher where there is one."""
    if not run.metrics:
        return
    epochs = run_store().epochs(run.id)
    last = int(epochs["epoch"].iloc[-1])
    plain = plain_run(run)
    tiles = [metric_tile(run, name, last, plain) for name in METRIC_NAMES if name in run.metrics]
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


def accuracy(run: DistillationRun) -> None:
    others = [curve(other, ghost=True) for other in comparable_runs(run)]
    own = curve(run, changes=run_data.threshold_changes(run, run_store()))
    chart(
        figures.accuracy([*others, own], appearance.mode(), run.epochs),
        f"accuracy-{run.id}",
        height=400,
        label="Student accuracy by epoch",
    )
    if others:
        elements.caption("Faint: finished plain students of the same pair and seed.")


def student(run: DistillationRun, steps: pd.DataFrame) -> None:
    chart(figures.losses_student(steps, appearance.mode(), run.epochs), f"student-{run.id}", height=220)
    elements.row(elements.bold("Fragile share"), elements.muted("of a round's synthetic images"))
    chart(figures.fragile_share(steps, appearance.mode(), run.epochs), f"share-{run.id}", height=190)


# ── images and the line between the groups ──────────────────────────────────────────────────────────


def scrubbed(run: DistillationRun) -> Snapshot | None:
    """The epoch whose images are shown: the newest, until the user goes back to an earlier one."""
    epochs = run_store().snapshot_epochs(run.id)
    key, seen = f"epoch {run.id}", f"newest epoch {run.id}"
    if not epochs:
        elements.row(elements.bold("Synthetic images"))
        return None
    chosen = st.session_state.get(key, url.read_choice("epoch", epochs, epochs[-1]))
    following = chosen >= st.session_state.get(seen, epochs[-1])
    st.session_state[key] = epochs[-1] if following else chosen
    url.set_parameter("epoch", None if following else chosen)
    st.session_state[seen] = epochs[-1]
    chosen = epochs[-1]
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        elements.row(elements.bold("Synthetic images"))
    first = run.fork.epoch + 1 if run.fork else 1
    if run.epochs > first:
        with right:
            chosen = st.slider("Epoch", first, run.epochs, key=key, label_visibility="collapsed", format="epoch %d")
    try:
        return load_snapshot(run.id, min(epochs, key=lambda epoch: abs(epoch - chosen)))
    except StoreError:  # deleted meanwhile
        return None


def scores(run: DistillationRun, shown: Snapshot | None) -> None:
    """The histogram with the line to drag, and what can be done with the line."""
    if shown is None:
        chart(figures.scores([], None, appearance.mode(), score=run.spec.split.score), f"scores-{run.id}", height=360)
        return
    score, line = run.spec.split.score, threshold_in_view(run, shown)
    values = shown.scores[score]
    figure = figures.scores(
        values, line, appearance.mode(), score=score, max_epsilon=run.spec.split.max_epsilon, line=False
    )
    low, high = (0.0, run.spec.split.max_epsilon) if score == "min_eps" else (None, None)
    chart(
        figure,
        f"scores-{run.id}",
        height=360,
        threshold=ThresholdHandle(
            line,
            low,
            high,
            0.1,
            "threshold",
            SCORE_UNITS[score],
            values,
            left_colour=appearance.colour("fragile"),
            right_colour=appearance.colour("robust"),
        ),
        on_threshold=lambda value: lines.choose_threshold(run, value),
    )
    moved = lines.chosen_threshold(run) not in (None, shown.threshold)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not run.spec.escape.splits:
            elements.caption("This run splits nothing: the line sorts the picture only.")
        elif is_live(run):
            st.button(
                "Apply to this run",
                icon=":material/check:",
                key=f"apply {run.id}",
                disabled=not moved,
                help="The student is split at this line from the next round on",
                on_click=run_store().set_threshold,
                args=(run.id, line),
            )
        if moved:
            st.button(
                "Back",
                icon=":material/undo:",
                key=f"back {run.id}",
                help="To the line that the run has",
                on_click=lines.choose_threshold,
                args=(run, None),
            )
    if not moved:
        elements.caption("Drag the line.")
