"""The form of a trial: two short runs that compare the chosen threshold with the run's threshold."""

from __future__ import annotations

import streamlit as st

from atesc_core.errors import StoreError, TrialError
from atesc_core.runs import DistillationRun, trials
from atesc_core.runs.trials import TrialOptions
from atesc_core.specs.command import try_command
from atesc_core.vocabulary import threshold_text
from pages.shared.data import cost
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.polling import is_live


def trial_button(run: DistillationRun, threshold: float, refusal: str) -> TrialOptions | None:
    """Draw the button that opens the form of a trial.

    Args:
        run: the run.
        threshold: the threshold to try.
        refusal: why the threshold cannot be applied to the run; empty if it can.

    Returns:
        The options of the form while it is open; None while it is closed.
    """
    options, key = None, _form_key(run)
    try:
        options = trials.options(run_store(), run)
        refusal = refusal or _trial_refusal(run, threshold, options)
        note = f"Two short runs from one checkpoint, the threshold {threshold_text(options.threshold)} and this one"
    except TrialError as error:
        refusal = note = str(error)
    st.button(
        "Try it",
        icon=":material/compare_arrows:",
        key=f"{key} button",
        disabled=bool(refusal),
        on_click=_toggle,
        args=(key,),
        help=refusal or note,
    )
    if refusal:
        st.session_state[key] = False
    return options if st.session_state.get(key) else None


def _form_key(run: DistillationRun) -> str:
    """Key in the session state: whether the form is open."""
    return f"try it {run.id}"


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key)


def _trial_refusal(run: DistillationRun, threshold: float, options: TrialOptions) -> str:
    """Why a trial cannot start; empty if it can."""
    if run.spec.teacher not in cards():
        return f"Its teacher {run.spec.teacher} is not among the teachers any more"
    if threshold == options.threshold:
        return f"Move the threshold first: {threshold_text(options.threshold)} is the one that the run has"
    return ""


def trial_form(run: DistillationRun, threshold: float, options: TrialOptions) -> None:
    """Draw the form: what the trial compares, how long it takes, and the button that starts it."""
    elements.row(
        elements.bold(f"Try {threshold_text(options.threshold)} → {threshold_text(threshold)}"),
        elements.muted("Both go on from one checkpoint, with the same random numbers. Only the threshold differs."),
    )
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    after = options.fork_epochs[0]
    with left:
        if len(options.fork_epochs) > 1:
            after = st.radio(
                "Both go on from",
                options.fork_epochs,
                key=f"try after {run.id}",
                format_func=lambda epoch: fork_point(run, epoch),
            )
        else:
            elements.caption(f"Both go on from {fork_point(run, after)}.")
    epochs_left = trials.epochs_left(run, after)
    epochs = 1
    if epochs_left > 1:
        epochs = middle.number_input(
            f"Epochs, of {epochs_left} left",
            1,
            epochs_left,
            min(trials.DEFAULT_EPOCHS, epochs_left),
            key=f"try epochs {run.id}",
            help="That are split by the new threshold. Learning rates stay those of the whole run",
        )
    until = run.spec.epochs - epochs_left + epochs
    device = machine()
    reason = trials.why_old_is_computed(run_store(), run, after, until, device.summary if device else None)
    span = f"epoch {until}" if epochs == 1 else f"epochs {until - epochs + 1} to {until}"
    with left:
        elements.caption(
            f"Both are computed: {reason}."
            if reason
            else f"Old: the run's own {span}, the same numbers. Only the new threshold is computed."
        )
    with right:
        time_needed = _time_text(run, after, until, arms=2 if reason else 1)
        elements.row(elements.bold(time_needed), elements.muted(_queue_text()))
        action_button(
            "Start",
            icon=":material/play_arrow:",
            width="stretch",
            key=f"try start {run.id}",
            type="secondary" if is_live(run) else "primary",
            on_click=_start,
            args=(run, threshold, epochs, after),
        )
    st.code(try_command(run.id, threshold, epochs, after), language="bash", wrap_lines=True)


def fork_point(run: DistillationRun, epoch: int) -> str:
    """The point from which both runs of the trial go on, as text; epoch 0 is the start of the run."""
    warmup = run.spec.escape.warmup_epochs
    if epoch == 0:
        again = f"the epoch{'s' if warmup > 1 else ''} before the split, {warmup}, done again"
        return f"the start, {again}" if warmup else "the start"
    return f"the end of epoch {epoch}" + (", where the split begins" if epoch == warmup else "")


def _time_text(run: DistillationRun, after: int, until: int, arms: int) -> str:
    needed = cost.estimated_seconds(run.spec, after, until)
    return "Time: not known yet" if needed is None else f"About {formats.duration(arms * needed)} here"


def _queue_text() -> str:
    before = cost.active_run_count()
    return f"after {before} run{'s' if before > 1 else ''} before it in line" if before else ""


def _start(run: DistillationRun, threshold: float, epochs: int, after: int) -> None:
    device = machine()
    try:
        trial = trials.start(run_store(), run.id, threshold, epochs, after, device.summary if device else None)
    except (TrialError, StoreError) as error:  # the run has changed meanwhile
        st.session_state[error_key(run)] = str(error)
        return
    st.session_state.pop(error_key(run), None)
    st.session_state[_form_key(run)] = False
    url.set_parameter("try", trial.new.id)


def error_key(run: DistillationRun) -> str:
    """Key in the session state: why the last trial could not be started."""
    return f"try failed {run.id}"
