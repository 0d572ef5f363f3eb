"""Try it: what the line would do to the student, against the threshold that the run has."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.errors import StoreError, TrialError, UnknownRun
from atesc_core.figures.trial import signed_points, verdict
from atesc_core.runs import DistillationRun, ensure_worker, trials
from atesc_core.runs.trials import Trial, TrialOptions
from atesc_core.specs.command import try_command
from atesc_core.vocabulary import METRIC_BETTER, METRIC_NAMES, METRIC_ROLES
from pages.shared.data import cost
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_panel import queue_position, speed_and_eta

EARLIER = 6  # tries of a run that are offered again
CHART_HEIGHT = 400


# ── before ──────────────────────────────────────────────────────────────────────────────────────────


def trial_button(run: DistillationRun, line: float, why_not: str) -> TrialOptions | None:
    """The button; what can be tried, where it was pressed. why_not: the line cannot be a threshold of this run."""
    found, key = None, _key(run)
    try:
        found = trials.options(run_store(), run)
        why = why_not or _why_not_now(run, line, found)
    except TrialError as error:
        why = str(error)
    st.button(
        "Try it",
        icon=":material/compare_arrows:",
        key=f"{key} button",
        disabled=bool(why),
        on_click=_toggle,
        args=(key,),
        help=why
        or f"Two short runs from one checkpoint, the threshold {trials.threshold_text(found.threshold)} and this one",
    )
    if why:
        st.session_state[key] = False
    return found if st.session_state.get(key) else None


def _key(run: DistillationRun) -> str:
    """Where this visit keeps whether the form is open."""
    return f"try it {run.id}"


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key)


def _why_not_now(run: DistillationRun, line: float, found: TrialOptions) -> str:
    if run.spec.teacher not in cards():
        return f"Its teacher {run.spec.teacher} is not among the teachers any more"
    if not math.isfinite(line) or line == found.threshold:
        return f"Move the line first: {trials.threshold_text(found.threshold)} is the threshold that the run has"
    return ""


def trial_form(run: DistillationRun, line: float, found: TrialOptions) -> None:
    """What the try will be and cost, and its start."""
    elements.row(
        elements.bold(f"Try {trials.threshold_text(found.threshold)} → {trials.threshold_text(line)}"),
        elements.muted("Both go on from one checkpoint, with the same random numbers. Only the threshold differs."),
    )
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    after = found.fork_epochs[0]
    with left:
        if len(found.fork_epochs) > 1:
            after = st.radio(
                "Both go on from",
                found.fork_epochs,
                key=f"try after {run.id}",
                format_func=lambda epoch: _point(run, epoch),
            )
        else:
            elements.caption(f"Both go on from {_point(run, after)}.")
    most = trials.epochs_left(run, after)
    with middle:
        epochs = (
            st.number_input(
                f"Epochs, of {most} left",
                1,
                most,
                min(trials.DEFAULT_EPOCHS, most),
                key=f"try epochs {run.id}",
                help="That are split by the new threshold. Learning rates stay those of the whole run",
            )
            if most > 1
            else 1
        )
    until = run.spec.epochs - most + epochs
    here = machine()
    why = trials.why_old_is_computed(run_store(), run, after, until, here.summary if here else None)
    span = f"epoch {until}" if epochs == 1 else f"epochs {until - epochs + 1} to {until}"
    with left:
        elements.caption(
            f"Both are computed: {why}."
            if why
            else f"Old: the run's own {span}, the same numbers. Only the new threshold is computed."
        )
    with right:
        elements.row(elements.bold(_time_words(run, after, until, arms=2 if why else 1)), elements.muted(_line_words()))
        st.button(
            "Start",
            icon=":material/play_arrow:",
            width="stretch",
            key=f"try start {run.id}",
            type="secondary" if is_live(run) else "primary",
            on_click=_start,
            args=(run, line, epochs, after),
        )
    st.code(try_command(run.id, line, epochs, after), language="bash", wrap_lines=True)


def _point(run: DistillationRun, epoch: int) -> str:
    begins = run.spec.escape.warmup_epochs
    if epoch == 0:
        again = f"the epoch{'s' if begins > 1 else ''} before the split, {begins}, done again"
        return f"the start, {again}" if begins else "the start"
    return f"the end of epoch {epoch}" + (", where the split begins" if epoch == begins else "")


def _time_words(run: DistillationRun, after: int, until: int, arms: int) -> str:
    needed = cost.estimated_seconds(run.spec, after, until)
    return "Time: not known yet" if needed is None else f"About {formats.duration(arms * needed)} here"


def _line_words() -> str:
    before = cost.active_run_count()
    return f"after {before} run{'s' if before > 1 else ''} before it in line" if before else ""


def _start(run: DistillationRun, line: float, epochs: int, after: int) -> None:
    here = machine()
    try:
        pair = trials.start(run_store(), run.id, line, epochs, after, here.summary if here else None)
    except (TrialError, StoreError) as error:  # the run went on meanwhile
        st.session_state[_wrong(run)] = str(error)
        return
    st.session_state.pop(_wrong(run), None)
    st.session_state[_key(run)] = False
    url.set_parameter("try", pair.new.id)


def _wrong(run: DistillationRun) -> str:
    return f"try failed {run.id}"


# ── while it grows, and after ───────────────────────────────────────────────────────────────────────


def trial_result(run: DistillationRun) -> None:
    """The try that the link names (?try=ID), as it grows; else the run's earlier ones, to be opened again."""
    if wrong := st.session_state.get(_wrong(run)):
        elements.problem("The try could not be started.", f"{wrong}.", "Choose anew.")
    wanted = st.query_params.get("try")
    if wanted is None:
        _earlier(run)
        return
    try:
        pair = trials.find(run_store(), wanted)
        if pair.fork.parent != run.id:
            raise UnknownRun("of another run")
    except UnknownRun:
        st.warning(
            f"There is no try {wanted[:20]!r} of this run here. It may have been deleted, or the link comes "
            "from another lab.",
            icon=":material/link_off:",
        )
        url.set_parameter("try", None)
        return

    def show() -> bool:
        try:
            now = trials.find(run_store(), pair.new.id)
        except UnknownRun:
            st.info("This try has been deleted.", icon=":material/delete:")
            return False
        if any(arm.status == "queued" for arm in now.arms):
            ensure_worker(run_store().runs_dir)
        _panel(now)
        return _going(now)

    with elements.card(f"Try: {_thresholds(pair)}", _of(pair)):
        poll(show, _going(pair), every_s=2.0)


def _going(pair: Trial) -> bool:
    return any(map(is_live, pair.arms))


def _thresholds(pair: Trial) -> str:
    return f"{trials.threshold_text(pair.fork.old_threshold)} → {trials.threshold_text(pair.fork.threshold)}"


def _of(pair: Trial) -> str:
    """What the numbers of the card are of."""
    return (
        f"{_span(pair)} · from {_point(pair.new, pair.fork.epoch)} · one seed ({pair.new.spec.seed}): what one "
        "seed shows may be chance"
    )


def _span(pair: Trial) -> str:
    return (
        f"epoch {pair.first_epoch}"
        if pair.first_epoch == pair.last_epoch
        else f"epochs {pair.first_epoch} to {pair.last_epoch}"
    )


def _earlier(run: DistillationRun) -> None:
    before = trials.list_trials(run_store(), run.id)[:EARLIER]
    if not before:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Tried before", width="content")
        for pair in before:
            st.button(
                _thresholds(pair),
                key=f"try again {pair.new.id}",
                on_click=url.set_parameter,
                args=("try", pair.new.id),
                help=f"{_span(pair).capitalize()}, {pair.new.status}",
            )


def _panel(pair: Trial) -> None:
    store = run_store()
    (old, new), rows = pair.epochs(store), pair.difference(store)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = figures.paired(
            pair.shared_epochs(store),
            old,
            new,
            (pair.fork.old_threshold, pair.fork.threshold),
            pair.first_epoch - 1,
            appearance.mode(),
            pair.last_epoch,
            pair.new.spec.escape.kind,
        )
        chart(
            figure,
            "try",
            height=CHART_HEIGHT,
            revision=pair.new.id,
            label="Student accuracy with the old and the new threshold",
        )
    with right:
        _arms(pair, old, new)
        _difference(pair, rows)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _buttons(pair)
    _by_epoch(rows)
    for words in _remarks(pair):
        elements.caption(words)


def _arms(pair: Trial, old: pd.DataFrame, new: pd.DataFrame) -> None:
    """What each arm is and how far."""
    threshold = trials.threshold_text(pair.fork.old_threshold)
    if pair.old is None:
        elements.row(elements.bold(f"Old {threshold}"), elements.muted("deleted since"))
    elif pair.old_is_parent:
        elements.row(
            elements.bold(f"Old {threshold}"),
            elements.status_chip("done"),
            elements.muted(f"the run's own {_span(pair)}"),
        )
    else:
        _arm(pair, pair.old, f"Old {threshold}", old)
    _arm(pair, pair.new, f"New {trials.threshold_text(pair.fork.threshold)}", new)


def _arm(pair: Trial, run: DistillationRun, name: str, epochs: pd.DataFrame) -> None:
    done, of = int((epochs["epoch"] >= pair.first_epoch).sum()), pair.last_epoch - pair.first_epoch + 1
    elements.row(
        elements.bold(name),
        elements.status_chip(run.status),
        elements.muted(
            " · ".join(
                [
                    f"{done} of {of} epoch{'s' if of > 1 else ''} after the split",
                    *queue_position(run),
                    *speed_and_eta(run),
                ]
            )
        ),
    )
    if is_live(run):
        st.html(elements.progress_bar(run.progress))
    if run.status == "failed":
        elements.problem(
            f"It failed: {run.error}", "The run that it parted from is as it was.", "Resume it, or start another try."
        )


def _difference(pair: Trial, rows: pd.DataFrame) -> None:
    """New − old in the last epoch that both have."""
    if rows.empty:
        elements.caption(
            f"The first difference comes at the end of epoch {pair.first_epoch}."
            if _going(pair)
            else "There is no epoch that both have."
        )
        return
    last, card = rows.iloc[-1], cards().get(pair.new.spec.teacher)
    tiles = []
    for metric in (name for name in METRIC_NAMES if name in rows):
        side = METRIC_ROLES[metric]
        of = formats.measured_on(f"{side.upper()} test", card.test_images[side] if card else None, int(last["epoch"]))
        tiles.append(
            elements.tile(
                f"{METRIC_NAMES[metric]}, new − old",
                signed_points(last[metric]),
                "points",
                role=side,
                measured_on=of,
                change=verdict(metric, last[metric]),
            )
        )
    elements.tiles(*tiles)


def _by_epoch(rows: pd.DataFrame) -> None:
    """Both arms and their difference, an epoch a row."""
    if rows.empty:
        return
    written, roles = {"Epoch": rows["epoch"].astype(int)}, {}
    for metric in (name for name in METRIC_NAMES if name in rows):
        name = f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]}"
        own = {
            f"{name} old (%)": rows[f"{metric}_old"].map(formats.per_cent),
            f"{name} new (%)": rows[f"{metric}_new"].map(formats.per_cent),
            f"{METRIC_NAMES[metric]}, new − old (points)": rows[metric].map(signed_points),
        }
        written |= own
        roles |= dict.fromkeys(own, METRIC_ROLES[metric])
    elements.table(pd.DataFrame(written), list(written), roles)


def _buttons(pair: Trial) -> None:
    """Stop and resume while it is not over; then where the new threshold may go."""
    store, new = run_store(), pair.new
    moving = [arm.id for arm in pair.arms if is_live(arm)]
    halted = [arm.id for arm in pair.arms if arm.status in ("paused", "stopped", "interrupted", "failed")]
    if moving:
        st.button(
            "Stop",
            icon=":material/stop:",
            key="try stop",
            on_click=_each,
            args=(store.stop, moving[::-1]),
            disabled=all(arm.requested_state == "stop" for arm in pair.arms if is_live(arm)),
        )
    if halted:
        st.button("Resume", icon=":material/play_arrow:", key="try resume", on_click=_each, args=(store.resume, halted))
    if new.status == "done":
        spec = new.spec.replaced({"split.threshold": round(pair.fork.threshold, 6)})
        elements.page_button(
            "pages/distill/page.py",
            f"Use {trials.threshold_text(pair.fork.threshold)} for the next run",
            icon=":material/experiment:",
            query_params={"spec": spec.to_token()},
            help=("Opens the form of a new run with these settings and this threshold"),
        )
        if pair.old:
            st.page_link(
                "pages/compare/page.py",
                label="Compare",
                icon=":material/stacked_line_chart:",
                query_params={"runs": f"{pair.old.id},{new.id}"},
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


def _each(do: Callable[[str], None], run_ids: list[str]) -> None:
    for run_id in run_ids:
        do(run_id)


def _remarks(pair: Trial) -> list[str]:
    words = []
    if pair.old_is_parent:
        words.append(
            "Old: same checkpoint, seed and threshold give the same numbers, so the run's own epochs are not "
            "computed again (to the last bit on a CPU; a GPU rounds differently from run to run)."
        )
    if pair.fork.epoch == 0 and pair.first_epoch > 1:
        words.append("The run keeps no checkpoint from before its split, so the epochs before it are done again.")
    return words
