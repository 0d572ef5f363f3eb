"""Pieces of a page that show one run: its progress and buttons, its state, its accuracies, its history."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.figures import run_data
from atesc_core.runs import DistillationRun, Run, TrainingRun
from atesc_core.specs.command import run_command, try_command
from atesc_core.vocabulary import METRIC_NAMES, METRIC_ROLES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state.run_choice import show_run
from pages.shared.ui import elements, formats
from pages.shared.ui.polling import is_live
from pages.shared.ui.recording_files import download_runs
from pages.shared.ui.run_labels import method_name

ROUNDS_DRAWN = 600  # of a long run's rounds, evenly thinned

TIMELINE = "display:grid;grid-template-columns:auto 1fr auto;gap:.15rem 1rem;max-height:14rem;overflow:auto"


def progress_text(run: Run) -> str:
    """``epoch 4/12 · CPU, 2 cores · 812 images/s · 1 min 40 s left``, as far as it is known."""
    device = [run.device] if run.device else []
    return " · ".join([*queue_position(run), f"epoch {run.epoch}/{run.epochs}", *device, *speed_and_eta(run)])


def queue_position(run: Run) -> list[str]:
    """The run's place in the line of those that wait, as text; empty where it does not wait."""
    if run.queue_position is None:
        return []
    return ["next in line" if run.queue_position == 1 else f"place {run.queue_position} in line"]


def speed_and_eta(run: Run) -> list[str]:
    """Images per second and the time left, as texts; empty where they are not known."""
    texts = [] if run.images_per_s is None else [f"{formats.count(round(run.images_per_s))} images/s"]
    return texts if run.eta_s is None else [*texts, f"{formats.duration(run.eta_s)} left"]


def run_buttons(run: Run) -> None:
    """Draw the buttons that make sense now: pause or resume, one step, stop."""
    store, resting = run_store(), run.status == "paused" or run.stepping
    pausing = run.status == "running" and run.requested_state == "pause" and not resting
    if run.status in ("queued", "running") and not (pausing or resting):
        _button("Pause", "pause", store.pause, run)
    if run.status in ("stopped", "interrupted", "failed") or resting or run.in_slow_motion:
        _button("Resume", "play_arrow", store.resume, run, help_text="At full speed" if run.in_slow_motion else None)
    if pausing:
        _button("Pausing", "pause", store.pause, run, disabled=True)
    if run.status == "running" or resting:
        _button("Step", "skip_next", store.step, run, help_text="One round, or the rest of one, then pause")
    if is_live(run):
        _button("Stop", "stop", store.stop, run, disabled=run.requested_state == "stop")
    else:
        st.button(
            "Again, changed",
            icon=":material/tune:",
            key=f"again {run.id}",
            on_click=_open_form,
            args=(run,),
            help="Open the form with this run's settings",
        )


def _button(
    label: str,
    icon: str,
    action: Callable[[str], None],
    run: Run,
    *,
    disabled: bool = False,
    help_text: str | None = None,
) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        key=f"{label} {run.id}",
        on_click=action,
        args=(run.id,),
        disabled=disabled,
        help=help_text,
    )


def _open_form(run: Run) -> None:
    show_run(None)
    st.query_params["spec"] = run.spec.to_token()


def status_notice(run: Run) -> None:
    """Draw why a run does not move, what was kept of it, and what to do; nothing while it moves or is done."""
    if run.metrics:
        kept = f"Kept: every epoch up to now{' and its synthetic images' if isinstance(run, DistillationRun) else ''}."
        again = "Resume goes on from the end of the last whole epoch."
    else:
        kept, again = "Kept: its settings.", "Resume begins anew."
    if run.status == "failed":
        elements.problem(f"The run failed: {run.error}", kept, f"{again} The log is in {shlex.quote(log_name(run))}.")
    elif run.status == "interrupted":
        st.warning(
            f"**Its process ended before the run did** (closed, killed, or the machine went down).  \n{kept} {again}",
            icon=":material/power_off:",
        )
    elif run.status == "stopped":
        st.info(f"**Stopped in epoch {run.epoch} of {run.epochs}.** {kept} {again}", icon=":material/stop_circle:")
    elif run.status == "paused" and isinstance(run, TrainingRun):
        st.info(
            "**Paused between two rounds.** Resume goes on from this very round; Step does one.",
            icon=":material/pause_circle:",
        )


def log_name(run: Run) -> str:
    """The path of the run's log, from the folder of all runs."""
    path = run_store().log_file(run.id)
    return str(path.relative_to(run_store().runs_dir))


def metric_tile(run: DistillationRun, metric: str, epoch: int, plain: DistillationRun | None = None) -> elements.Html:
    """The tile of an accuracy.

    Args:
        run: the run.
        metric: one that the run has.
        epoch: of the accuracy.
        plain: a run with which the accuracy is compared at the same epoch.
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


def metrics_at_epoch(epochs: pd.DataFrame, epoch: int) -> pd.Series | None:
    """The row of an epoch; None where it is missing."""
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
    "done": "done",
}


def timeline(run: Run) -> None:
    """Draw what happened to the run, an event a line."""
    rows = []
    for event in run_store().history(run.id).to_dict("records"):
        if event["kind"] == "threshold":
            by = {"hand": "by hand", "auto": "from the synthetic images alone"}[event["text"]]
            text = f"threshold {event['value']:.2f}, {by}"
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
    """Draw the run's history, its downloads, its settings, and the command that does the same."""
    timeline(run)
    if run.metrics and not is_live(run):
        with st.container(horizontal=True, gap="small"):
            download_runs([run], f"{run.spec.teacher} · {method_name(run.spec)}")
            download_student(run)
    with elements.hidden_when_presenting("settings"):
        with st.expander("Settings", icon=":material/tune:"):
            st.code(run.spec.to_yaml(), language="yaml")
        elements.label("The same from the command line")
        st.code(_commands(run), language="bash", wrap_lines=True)


def _commands(run: DistillationRun) -> str:
    """What makes the run; for a trial, first the run that it branched off."""
    command, fork = run_command(run.spec), run.fork
    if not fork:
        return command
    epochs = run.epochs - max(fork.epoch, run.spec.escape.warmup_epochs)
    return f"{command}\n{try_command(fork.parent, fork.threshold, epochs, fork.epoch)}"


def download_student(run: DistillationRun) -> None:
    """Draw a button that downloads the last student; its file is read when the button is pressed."""
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
            f"As it was at the end of epoch {epoch}, as safetensors: its architecture, classes and normalisation are in "
            "the file, so that the page Teachers can load it"
        ),
    )


def _student_bytes(run: DistillationRun, epoch: int) -> bytes:
    # imports torch, for a second, which no page waits for
    from atesc_core.runs.students.files import student_bytes

    return student_bytes(run_store(), run.id, epoch)


def curve(run: DistillationRun, ghost: bool = False, changes: pd.DataFrame | None = None) -> figures.Curve:
    """The run's accuracies by epoch, as a figure takes them.

    Args:
        run: the run.
        ghost: drawn faintly, behind others.
        changes: thresholds that were set while it ran, to be marked.
    """
    return run_data.run_curve(run, run_store(), cards(), ghost, changes)


def plain_run(run: DistillationRun) -> DistillationRun | None:
    """The newest finished run that differs from this one only in that nothing is split."""
    return next((other for other in comparable_runs(run) if other.spec.teacher == run.spec.teacher), None)


def comparable_runs(run: DistillationRun) -> list[DistillationRun]:
    """Finished plain runs of the same pair and seed."""
    return run_data.comparable_runs(run, run_store(), cards())
