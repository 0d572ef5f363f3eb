"""A trial of a threshold: its progress, the curves of both runs, and the differences between them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.errors import UnknownRunError
from atesc_core.figures.trial import signed_points, verdict
from atesc_core.runs import DistillationRun, trials
from atesc_core.runs.trials import Trial
from atesc_core.vocabulary import METRIC_BETTER, METRIC_NAMES, METRIC_ROLES, threshold_text
from pages.robustness.trial_form import error_key, fork_point
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_labels import queue_position
from pages.shared.ui.run_panel import speed_and_eta

EARLIER_TRIALS = 6  # largest number of earlier trials that can be opened again
CHART_HEIGHT = 400


def trial_result(run: DistillationRun) -> None:
    """Draw the trial in the link (``?try=ID``); without one, draw buttons that open the run's earlier trials."""
    if error := st.session_state.get(error_key(run)):
        elements.problem("The try could not be started.", f"{error}.", "Choose anew.")
    trial_id = st.query_params.get("try")
    if trial_id is None:
        _earlier_trials(run)
        return
    try:
        trial = trials.find(run_store(), trial_id)
        if trial.fork.parent != run.id:
            raise UnknownRunError("of another run")
    except UnknownRunError:
        elements.notice(
            "warning",
            f"There is no try {trial_id[:20]!r} of this run here. It may have been deleted, or the link comes "
            "from another lab.",
            icon=":material/link_off:",
        )
        url.set_parameter("try", None)
        return

    def show() -> bool:
        try:
            current = trials.find(run_store(), trial.new.id)
        except UnknownRunError:
            elements.notice("info", "This try has been deleted.", icon=":material/delete:")
            return False
        _panel(current)
        return _running(current)

    seed = f"one seed ({trial.new.spec.seed}): what one seed shows may be chance"
    images = "on test images, like the run itself: a threshold chosen by it has seen them"
    note = f"{_span(trial)} · from {fork_point(trial.new, trial.fork.epoch)} · {seed} · {images}"
    with elements.card(f"Try: {_thresholds(trial)}", note):
        poll(show, _running(trial), every_s=2.0)


def _running(trial: Trial) -> bool:
    return any(map(is_live, trial.arms))


def _thresholds(trial: Trial) -> str:
    return f"{threshold_text(_old_threshold(trial))} → {threshold_text(trial.fork.threshold)}"


def _old_threshold(trial: Trial) -> float:
    assert trial.fork.old_threshold is not None  # a trial's fork has one
    return trial.fork.old_threshold


def _span(trial: Trial) -> str:
    """The compared epochs, as text."""
    if trial.first_epoch == trial.last_epoch:
        return f"epoch {trial.first_epoch}"
    return f"epochs {trial.first_epoch} to {trial.last_epoch}"


def _earlier_trials(run: DistillationRun) -> None:
    earlier = trials.list_trials(run_store(), run.id)[:EARLIER_TRIALS]
    if not earlier:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Tried before", width="content")
        for trial in earlier:
            st.button(
                _thresholds(trial),
                key=f"try again {trial.new.id}",
                on_click=url.set_parameter,
                args=("try", trial.new.id),
                help=f"{_span(trial).capitalize()}, {trial.new.status}",
            )


def _panel(trial: Trial) -> None:
    """Draw the trial now: the curves, progress and difference of both runs."""
    store = run_store()
    (old, new), rows = trial.epochs(store), trial.difference(store)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = figures.paired(
            trial.shared_epochs(store),
            old,
            new,
            (_old_threshold(trial), trial.fork.threshold),
            trial.first_epoch - 1,
            appearance.mode(),
            trial.last_epoch,
            trial.new.spec.escape.kind,
        )
        chart(
            figure,
            "try",
            height=CHART_HEIGHT,
            revision=trial.new.id,
            label="Student accuracy with the old and the new threshold",
        )
    with right:
        _arms(trial, old, new)
        _difference(trial, rows)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _buttons(trial)
    _epoch_table(rows)
    for remark in _remarks(trial):
        elements.caption(remark)


def _arms(trial: Trial, old: pd.DataFrame, new: pd.DataFrame) -> None:
    """Draw the threshold and the progress of each run of the trial."""
    threshold = threshold_text(_old_threshold(trial))
    if trial.old is None:
        elements.row(elements.bold(f"Old {threshold}"), elements.muted("deleted since"))
    elif trial.old_is_parent:
        elements.row(
            elements.bold(f"Old {threshold}"),
            elements.status_chip("done"),
            elements.muted(f"the run's own {_span(trial)}"),
        )
    else:
        _arm(trial, trial.old, f"Old {threshold}", old)
    _arm(trial, trial.new, f"New {threshold_text(trial.fork.threshold)}", new)


def _arm(trial: Trial, run: DistillationRun, name: str, epochs: pd.DataFrame) -> None:
    done, total = int((epochs["epoch"] >= trial.first_epoch).sum()), trial.last_epoch - trial.first_epoch + 1
    progress = f"{done} of {total} epoch{'s' if total > 1 else ''} after the split"
    elements.row(
        elements.bold(name),
        elements.status_chip(run.status),
        elements.muted(" · ".join([progress, *queue_position(run), *speed_and_eta(run)])),
    )
    if is_live(run):
        st.html(elements.progress_bar(run.progress))
    if run.status == "failed":
        elements.problem(
            f"It failed: {run.error}", "The run that it parted from is as it was.", "Resume it, or start another try."
        )


def _difference(trial: Trial, rows: pd.DataFrame) -> None:
    """Draw the metrics' differences, new − old, in the last epoch that both runs have."""
    if rows.empty:
        elements.caption(
            f"The first difference comes at the end of epoch {trial.first_epoch}."
            if _running(trial)
            else "There is no epoch that both have."
        )
        return
    last, card = rows.iloc[-1], cards().get(trial.new.spec.teacher)
    tiles = []
    for metric in (name for name in METRIC_NAMES if name in rows):
        side = METRIC_ROLES[metric]
        images = card.test_images[side] if card else None
        tiles.append(
            elements.tile(
                f"{METRIC_NAMES[metric]}, new − old",
                signed_points(last[metric]),
                "points",
                role=side,
                measured_on=formats.measured_on(f"{side.upper()} test", images, int(last["epoch"])),
                change=verdict(metric, last[metric]),
            )
        )
    elements.tiles(*tiles)


def _epoch_table(rows: pd.DataFrame) -> None:
    """Draw a table with one row per epoch: the metrics of both runs, and their differences."""
    if rows.empty:
        return
    columns: dict[str, pd.Series] = {"Epoch": rows["epoch"].astype(int)}
    roles: dict[str, elements.Role] = {}
    for metric in (name for name in METRIC_NAMES if name in rows):
        name = f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]}"
        metric_columns = {
            f"{name} old (%)": rows[f"{metric}_old"].map(formats.per_cent),
            f"{name} new (%)": rows[f"{metric}_new"].map(formats.per_cent),
            f"{METRIC_NAMES[metric]}, new − old (points)": rows[metric].map(signed_points),
        }
        columns |= metric_columns
        roles |= dict.fromkeys(metric_columns, METRIC_ROLES[metric])
    elements.table(pd.DataFrame(columns), list(columns), roles)


def _buttons(trial: Trial) -> None:
    """Draw the buttons to stop and resume; after the trial, those that use the new threshold; and Close."""
    store, new = run_store(), trial.new
    live = [arm.id for arm in trial.arms if is_live(arm)]
    halted = [arm.id for arm in trial.arms if arm.status in ("paused", "stopped", "interrupted", "failed")]
    if live:
        action_button(
            "Stop",
            icon=":material/stop:",
            key="try stop",
            on_click=_for_each,
            args=(store.stop, live[::-1]),
            disabled=all(arm.requested_state == "stop" for arm in trial.arms if is_live(arm)),
        )
    if halted:
        action_button(
            "Resume", icon=":material/play_arrow:", key="try resume", on_click=_for_each, args=(store.resume, halted)
        )
    if new.status == "done":
        if math.isfinite(trial.fork.threshold):  # a run that holds no image back is a plain one
            spec = new.spec.replaced({"split.threshold": round(trial.fork.threshold, 6)})
            elements.page_button(
                "distill/page.py",
                f"New run with {threshold_text(trial.fork.threshold)}",
                icon=":material/experiment:",
                query_params={"spec": spec.to_token()},
                help="Opens the form of a new run with these settings and this threshold",
            )
        if trial.old:
            st.page_link(
                "compare/page.py",
                label="Compare",
                icon=":material/stacked_line_chart:",
                query_params={"runs": f"{trial.old.id},{new.id}"},
            )
    if st.button(
        "Close",
        icon=":material/close:",
        key="try close",
        type="tertiary",
        help="The runs stay, and can be opened again from here",
    ):
        url.set_parameter("try", None)
        st.rerun()


def _for_each(action: Callable[[str], None], run_ids: list[str]) -> None:
    for run_id in run_ids:
        action(run_id)


def _remarks(trial: Trial) -> list[str]:
    """Notes on how the comparison was computed."""
    remarks = []
    if trial.old_is_parent:
        remarks.append(
            "Old: same checkpoint, seed and threshold give the same numbers, so the run's own epochs are not "
            "computed again (to the last bit on a CPU; a GPU rounds differently from run to run)."
        )
    if trial.fork.epoch == 0 and trial.first_epoch > 1:
        remarks.append("The run keeps no checkpoint from before its split, so the epochs before it are done again.")
    return remarks
