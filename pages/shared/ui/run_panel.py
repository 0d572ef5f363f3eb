"""Parts of a page that show one run: progress, buttons, state, accuracies, history."""

from __future__ import annotations

import math
import shlex
import time

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.errors import StoreError
from atesc_core.figures import run_data
from atesc_core.runs import DistillationRun, Run, TrainingRun
from atesc_core.specs.command import run_command, try_command
from atesc_core.vocabulary import COST_NAMES, METRIC_NAMES, METRIC_ROLES, ONE_GROUP, threshold_text
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import elements, formats
from pages.shared.ui.glossary import TERMS
from pages.shared.ui.polling import is_live
from pages.shared.ui.recording_files import download_runs
from pages.shared.ui.run_header import damage_notices
from pages.shared.ui.run_labels import method_name, queue_position

ROUNDS_DRAWN = 600  # largest number of rounds in a chart; longer runs are thinned evenly

TIMELINE = "display:grid;grid-template-columns:auto 1fr auto;gap:.15rem 1rem;max-height:14rem;overflow:auto"


def progress_text(run: Run) -> str:
    """Progress as text, without unknown parts: ``epoch 4/12 · CPU, 2 cores · 812 images/s · 1 min 40 s left``."""
    device = [run.device] if run.device else []
    return " · ".join([*queue_position(run), f"epoch {run.epoch}/{run.epochs}", *device, *speed_and_eta(run)])


def speed_and_eta(run: Run) -> list[str]:
    """Images per second and the time left, as texts; without unknown values."""
    texts = [] if run.images_per_s is None else [f"{formats.count(round(run.images_per_s))} images/s"]
    return texts if run.eta_s is None else [*texts, f"{formats.duration(run.eta_s)} left"]


def status_notice(run: Run) -> None:
    """Draw why a run stands still, which results exist, and what to do; nothing if the run is active or done."""
    if run.metrics:
        results = (
            f"Kept: every epoch up to now{' and its synthetic images' if isinstance(run, DistillationRun) else ''}."
        )
        again = "Resume goes on from the end of the last whole epoch."
    else:
        results, again = "Kept: its settings.", "Resume begins anew."
    damage_notices(run)
    if run.status == "failed":
        elements.problem(
            f"The run failed: {run.error}", results, f"{again} The log is in {shlex.quote(log_name(run))}."
        )
    elif run.status == "interrupted":
        elements.notice(
            "warning",
            f"It was closed or killed, or the machine went down. {results} {again}",
            title="Its process ended before the run did.",
            icon=":material/power_off:",
        )
    elif run.status == "stopped":
        elements.notice(
            "info",
            f"{results} {again}",
            title=f"Stopped in epoch {run.epoch} of {run.epochs}.",
            icon=":material/stop_circle:",
        )
    elif run.status == "paused" and isinstance(run, TrainingRun):
        elements.notice(
            "info",
            "Resume goes on from this very round; Step does one.",
            title="Paused between two rounds.",
            icon=":material/pause_circle:",
        )


def log_name(run: Run) -> str:
    """Path of the run's log, relative to the runs folder."""
    path = run_store().log_file(run.id)
    return str(path.relative_to(run_store().runs_dir))


def metric_tile(run: DistillationRun, metric: str, epoch: int, plain: DistillationRun | None = None) -> elements.Html:
    """The tile of an accuracy metric.

    Args:
        run: the run.
        metric: a metric that the run has.
        epoch: epoch of the accuracy.
        plain: another run; the tile shows the difference to it at the same epoch.
    """
    side = METRIC_ROLES[metric]
    card = cards().get(run.spec.teacher)
    change = ""
    epochs = run_store().epochs(run.id)
    value = float(epochs.loc[epochs["epoch"] == epoch, metric].iloc[0])
    reference = metrics_at_epoch(run_store().epochs(plain.id), epoch) if plain else None
    if reference is not None and metric in reference:
        change = f"{value - reference[metric]:+.1f} to plain".replace("-", "−")
    return elements.tile(
        METRIC_NAMES[metric],
        formats.per_cent(value),
        "%",
        measured_on=formats.measured_on(f"{side.upper()} test", card.test_images[side] if card else None, epoch),
        change=change,
        role=side,
    )


def cost_tiles(run: DistillationRun) -> list[elements.Html]:
    """Tiles of what the escape cost at the last epoch: the class with the lowest recall, and the trap label's class."""
    measured, card = run_store().recalls(run.id), cards().get(run.spec.teacher)
    if measured is None:
        return []
    recalls = {label: recall for label, recall in enumerate(measured.by_label) if recall is not None}
    shown = {"worst_recall": min(recalls, key=recalls.__getitem__), "trap_recall": measured.trap_label}
    tiles = [
        elements.tile(
            formats.capitalised(COST_NAMES[cost]),
            formats.per_cent(recalls[label]),
            "%",
            measured_on=f"class {card.class_names[label] if card else label} · ID test · epoch {measured.epoch}",
            help_text=TERMS[COST_NAMES[cost]],
            role="id",
        )
        for cost, label in shown.items()
        if label in recalls
    ]
    if "trap_share" in run.metrics:
        tiles.append(
            elements.tile(
                formats.capitalised(COST_NAMES["trap_share"]),
                formats.per_cent(run.metrics["trap_share"]),
                "%",
                measured_on=f"OOD test · epoch {measured.epoch}",
                help_text=TERMS[COST_NAMES["trap_share"]],
                role="ood",
            )
        )
    return tiles


def metrics_at_epoch(epochs: pd.DataFrame, epoch: int) -> pd.Series | None:
    """The row of an epoch; None if it is missing."""
    rows = epochs[epochs["epoch"] == epoch]
    return None if rows.empty else rows.iloc[0]


EVENT_NAMES = {
    "created": "queued",
    "started": "started",
    "paused": "paused",
    "resumed": "resumed",
    "step": "one step, paused",
    "turn": "turn by turn, paused",
    "stopped": "stopped",
    "interrupted": "its process ended",
    "failed": "failed",
    "thinned": "images and students of most epochs deleted",
    "done": "done",
}


def timeline(run: Run) -> None:
    """Draw the run's events, one per line; of thresholds found epoch after epoch only the first and the last."""
    rows, history = [], run_store().history(run.id)
    found = history.loc[history["kind"] == "threshold", "text"] == "auto"
    between = found & found.shift(fill_value=False) & found.shift(-1, fill_value=False)
    for event in history.drop(index=between[between].index).to_dict("records"):
        if event["kind"] == "threshold":
            by = {"hand": "by hand", "auto": "from the synthetic images alone"}[event["text"]]
            text = f"{ONE_GROUP if math.isinf(event['value']) else 'threshold ' + threshold_text(event['value'])}, {by}"
        elif event["kind"] == "trap":
            text = event["text"]
        elif event["kind"] == "slow":
            text = f"slow motion, {event['value']:g} s a turn"
        else:
            details = event["text"] if event["kind"] in ("created", "started", "resumed") else ""
            text = EVENT_NAMES[event["kind"]] + (f", {details}" if details else "")
        position = f"epoch {event['epoch']}, round {event['round']}" if event["epoch"] else ""
        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        rows.append(f"<span>{clock}</span><span>{elements.as_html(text)}</span>{elements.muted(position)}")
    st.html(f'<div class="atesc" style="{TIMELINE}">{"".join(rows)}</div>')


def run_history(run: DistillationRun) -> None:
    """Draw the run's events, downloads, settings, and the command that makes the same run."""
    timeline(run)
    if run.metrics and not is_live(run):
        with st.container(horizontal=True, gap="small"):
            download_runs([run], f"{run.spec.teacher} · {method_name(run.spec)}")
            download_student(run)
    with elements.hidden_when_presenting("settings"):
        with st.expander("Settings", icon=":material/tune:"):
            st.code(run_store().reproducing_spec(run).to_yaml(), language="yaml")
        elements.label("The same from the command line")
        st.code(_commands(run), language="bash", wrap_lines=True)


def _commands(run: DistillationRun) -> str:
    """The command that makes the run; for a trial, first the command of its parent run."""
    store, fork = run_store(), run.fork
    if not fork:
        return run_command(store.reproducing_spec(run))
    try:
        command = run_command(store.reproducing_spec(store.get_distillation(fork.parent)))
    except StoreError:  # the parent was deleted
        command = run_command(run.spec)
    epochs = run.epochs - max(fork.epoch, run.spec.escape.warmup_epochs)
    return f"{command}\n{try_command(fork.parent, fork.threshold, epochs, fork.epoch)}"


def download_student(run: DistillationRun) -> None:
    """Draw a button that downloads the last student. The file is read after the click."""
    if not (files := run_store().student_files(run.id)):
        return
    epoch = max(files)
    st.download_button(
        "Download student",
        lambda: _student_bytes(run, epoch),
        icon=":material/download:",
        file_name=f"{run.id}-epoch{epoch}.safetensors",
        mime="application/octet-stream",
        key=f"student file {run.id}",
        on_click="ignore",
        help=(
            f"As it was at the end of epoch {epoch}, as safetensors: its architecture, classes and normalisation are "
            "in the file, so that the page Teachers can load it"
        ),
    )


def _student_bytes(run: DistillationRun, epoch: int) -> bytes:
    # imports PyTorch, which takes a second: no page waits for it
    from atesc_core.runs.students.files import student_bytes

    return student_bytes(run_store(), run.id, epoch)


def curve(run: DistillationRun, ghost: bool = False, changes: pd.DataFrame | None = None) -> figures.Curve:
    """The run's accuracies by epoch, as a curve for a figure.

    Args:
        run: the run.
        ghost: draw it faintly, behind other curves.
        changes: thresholds that were set during the run; the figure marks them.
    """
    return run_data.run_curve(run, run_store(), cards(), ghost, changes)


def plain_run(run: DistillationRun) -> DistillationRun | None:
    """The newest finished run with the same settings but without a split; None if there is none."""
    return next((other for other in comparable_runs(run) if other.spec.teacher == run.spec.teacher), None)


def comparable_runs(run: DistillationRun) -> list[DistillationRun]:
    """Finished plain runs of the same pair and seed."""
    return run_data.comparable_runs(run, run_store(), cards())
