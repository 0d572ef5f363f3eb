"""One run, as it stands: what it is and does, its curves, its images, the line that splits them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.figures import run_figures
from atesc_core.figures.scores import SCORE_NAMES, SCORE_UNITS
from atesc_core.figures.theme import METRIC_NAMES
from atesc_core.runs import Run, Snapshot, StoreError
from atesc_core.specs.command import run_command, try_command
from pages.shared.data import cost, recordings
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import threshold as lines
from pages.shared.state import url
from pages.shared.state.run_choice import may_change, method, place, show_run, snapshot
from pages.shared.ui import look, turn_view
from pages.shared.ui.chart import Threshold, chart
from pages.shared.ui.gallery import gallery
from pages.shared.ui.run_header import facts

ROUNDS_DRAWN = 600  # of a long run's rounds, evenly thinned
WALL = 56  # images of the wall
TIMELINE = "display:grid;grid-template-columns:auto 1fr auto;gap:.15rem 1rem;max-height:14rem;overflow:auto"


def panel(run: Run) -> None:
    """The whole run."""
    head(run)
    what_now(run)
    turn_view.closely(run)
    numbers(run)
    left, right = st.columns([3, 2])
    with left, look.card("Student accuracy by epoch", "real test images", height="stretch"):
        accuracy(run)
    with right, look.card(height="stretch"):
        shown = scrubbed(run)
        wall(run, shown)
    left, right = st.columns(2)
    steps = run_store().steps(run.id, at_most=ROUNDS_DRAWN)
    with (
        left,
        look.card("Robustness scores", f"synthetic images, epoch {shown.epoch}" if shown else "", height="stretch"),
    ):
        scores(run, shown)
    with right, look.card("Student loss by group", "each round", height="stretch"):
        student(run, steps)
    left, right = st.columns(2)
    with left, look.card("Generator loss by term", "each round, weighted", height="stretch"):
        chart(figures.losses_generator(steps, look.mode(), run.epochs), f"generator-{run.id}", height=420)
    with right, look.card("What happened", height="stretch"):
        happened(run)


# ── what it is, and what can be asked of it ─────────────────────────────────────────────────────────


def head(run: Run) -> None:
    left, right = st.columns([3, 2])
    with left:
        look.line(*facts(run))
        look.line(look.quiet(progress_words(run)))
        if run.fork:
            look.line(look.quiet(f"{run.label}: parted from run {run.fork.parent} after epoch {run.fork.epoch}"))
            st.page_link(label="Both thresholds side by side", icon=":material/compare_arrows:", **place(run))
        if may_change(run):
            st.html(look.bar(run.progress))
    with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        buttons(run)


def progress_words(run: Run) -> str:
    """`epoch 4/12 · CPU, 2 cores · 812 images/s · 1 min 40 s left`, as far as it is known."""
    device = [run.device] if run.device else []
    return " · ".join([*in_line(run), f"epoch {run.epoch}/{run.epochs}", *device, *pace(run)])


def in_line(run: Run) -> list[str]:
    if run.place_in_line is None:
        return []
    return ["next in line" if run.place_in_line == 1 else f"place {run.place_in_line} in line"]


def pace(run: Run) -> list[str]:
    """Images a second, and the time left, while it runs."""
    words = [] if run.images_per_s is None else [f"{look.count(round(run.images_per_s))} images/s"]
    return words if run.eta_s is None else [*words, f"{look.duration(run.eta_s)} left"]


def buttons(run: Run) -> None:
    """Pause or resume, one step, stop: what makes sense of these now."""
    store, rests = run_store(), run.status == "paused" or run.stepping
    pausing = run.status == "running" and run.wanted == "pause" and not rests
    if run.status in ("queued", "running") and not (pausing or rests):
        _button("Pause", "pause", store.pause, run)
    if run.status in ("stopped", "interrupted", "failed") or rests or run.slow:
        _button("Resume", "play_arrow", store.resume, run, help="At full speed" if run.slow else None)
    if pausing:
        _button("Pausing", "pause", store.pause, run, disabled=True)
    if run.status == "running" or rests:
        _button("Step", "skip_next", store.step, run, help="One round, or the rest of one, then pause")
    if may_change(run):
        _button("Stop", "stop", store.stop, run, disabled=run.wanted == "stop")
    else:
        st.button(
            "Again, changed",
            icon=":material/tune:",
            key=f"again {run.id}",
            on_click=_again,
            args=(run,),
            help="Open the form with this run's settings",
        )


def _button(words: str, icon: str, do: Callable[[str], None], run: Run, **more) -> None:
    st.button(words, icon=f":material/{icon}:", key=f"{words} {run.id}", on_click=do, args=(run.id,), **more)


def _again(run: Run) -> None:
    show_run(None)
    st.query_params["spec"] = run.spec.to_token()


def what_now(run: Run) -> None:
    """Why a run stands still, what was kept of it, and what to do."""
    if run.metrics:
        kept = f"Kept: every epoch up to now{' and its synthetic images' if run.makes == 'student' else ''}."
        again = "Resume goes on from the end of the last whole epoch."
    else:
        kept, again = "Kept: its settings.", "Resume begins anew."
    if run.status == "failed":
        look.problem(f"The run failed: {run.error}", kept, f"{again} The log is in {shlex.quote(log_name(run))}.")
    elif run.status == "interrupted":
        st.warning(
            f"**Its process ended before the run did** (closed, killed, or the machine went down).  \n{kept} {again}",
            icon=":material/power_off:",
        )
    elif run.status == "stopped":
        st.info(f"**Stopped in epoch {run.epoch} of {run.epochs}.** {kept} {again}", icon=":material/stop_circle:")
    elif run.status == "paused" and run.makes == "teacher":
        st.info(
            "**Paused between two rounds.** Resume goes on from this very round; Step does one.",
            icon=":material/pause_circle:",
        )


def log_name(run: Run) -> str:
    path = run_store().log_file(run.id)
    return str(path.relative_to(run_store().runs_dir))


# ── numbers and curves ──────────────────────────────────────────────────────────────────────────────


def numbers(run: Run) -> None:
    """The last epoch's accuracies, beside those of the plain run of the same teacher where there is one."""
    if not run.metrics:
        return
    epochs = run_store().epochs(run.id)
    last = int(epochs["epoch"].iloc[-1])
    plain = plain_run(run)
    tiles = [metric_tile(run, name, last, plain) for name in METRIC_NAMES if name in run.metrics]
    shares = run_store().steps(run.id, at_most=ROUNDS_DRAWN).groupby("epoch")["fragile_share"].mean().dropna()
    if len(shares):
        tiles.append(
            look.tile(
                "Fragile",
                look.per_cent(100 * shares.iloc[-1]),
                "%",
                role="fragile",
                of=f"of the student's images · epoch {shares.index[-1]}",
            )
        )
    tiles.append(
        look.tile(
            "Images seen", look.count(run.images), of=f"of {look.count(cost.images(run.spec, run.epochs))} synthetic"
        )
    )
    look.tiles(*tiles)


def metric_tile(run: Run, metric: str, epoch: int, plain: Run | None = None) -> look.Html:
    """An accuracy of an epoch, and by how much it differs from that of a plain run in the same epoch."""
    side = "id" if metric == "iacc" else "ood"
    card = cards().get(run.spec.teacher)
    change = ""
    theirs = at_epoch(run_store().epochs(plain.id), epoch) if plain else None
    ours = at_epoch(run_store().epochs(run.id), epoch)
    if theirs is not None and metric in theirs:
        change = f"{ours[metric] - theirs[metric]:+.1f} to plain".replace("-", "−")
    of = look.of(f"{side.upper()} test", card.test_images[side] if card else None, epoch)
    return look.tile(METRIC_NAMES[metric], look.per_cent(ours[metric]), "%", of=of, change=change, role=side)


def at_epoch(epochs: pd.DataFrame, epoch: int) -> pd.Series | None:
    """The row of an epoch, or None."""
    rows = epochs[epochs["epoch"] == epoch]
    return None if rows.empty else rows.iloc[0]


def accuracy(run: Run) -> None:
    others = [curve(other, ghost=True) for other in comparable(run)]
    own = curve(run, changes=run_figures.threshold_changes(run, run_store()))
    chart(
        figures.accuracy([*others, own], look.mode(), run.epochs),
        f"accuracy-{run.id}",
        height=400,
        label="Student accuracy by epoch",
    )
    if others:
        look.caption("Faint: finished plain students of the same pair and seed.")


def student(run: Run, steps: pd.DataFrame) -> None:
    chart(figures.losses_student(steps, look.mode(), run.epochs), f"student-{run.id}", height=220)
    look.line(look.bold("Fragile share"), look.quiet("of a round's synthetic images"))
    chart(figures.fragile_share(steps, look.mode(), run.epochs), f"share-{run.id}", height=190)


HAPPENED = {
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
    """What happened to the run, a line each."""
    rows = []
    for event in run_store().history(run.id).itertuples():
        if event.kind == "threshold":
            by = {"hand": "by hand", "auto": "from the synthetic images alone"}[event.text]
            what = f"threshold {event.value:.2f}, {by}"
        elif event.kind == "slow":
            what = f"slow motion, {event.value:g} s a turn"
        else:
            more = event.text if event.kind in ("created", "started", "resumed") else ""
            what = HAPPENED[event.kind] + (f", {more}" if more else "")
        at = f"epoch {event.epoch}, round {event.round}" if event.epoch else ""
        clock = time.strftime("%H:%M:%S", time.localtime(event.time))
        rows.append(f"<span>{clock}</span><span>{look.text(what)}</span>{look.quiet(at)}")
    st.html(f'<div class="atesc" style="{TIMELINE}">{"".join(rows)}</div>')


def happened(run: Run) -> None:
    """The run's history, its settings, and the command that does the same."""
    timeline(run)
    if run.metrics and not may_change(run):
        with st.container(horizontal=True, gap="small"):
            recordings.download_runs([run], f"{run.spec.teacher} · {method(run.spec)}")
            download_student(run)
    with look.backstage("settings"):
        with st.expander("Settings", icon=":material/tune:"):
            st.code(run.spec.to_yaml(), language="yaml")
        look.label("The same from the command line")
        st.code(_commands(run), language="bash", wrap_lines=True)


def _commands(run: Run) -> str:
    """What makes the run; of a try, first the run that it parted from."""
    whole, fork = run_command(run.spec), run.fork
    if not fork:
        return whole
    epochs = run.epochs - max(fork.epoch, run.spec.escape.warmup_epochs)
    return f"{whole}\n{try_command(fork.parent, fork.threshold, epochs, fork.epoch)}"


def download_student(run: Run) -> None:
    """A button that gives the last student; read when it is pressed."""
    if not (kept := run_store().students(run.id)):
        return
    epoch = max(kept)
    st.download_button(
        "Download student",
        lambda: _student(run, epoch),
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


def _student(run: Run, epoch: int) -> bytes:
    from atesc_core.runs.students.loading import student_bytes

    return student_bytes(run_store(), run.id, epoch)


def curve(run: Run, ghost: bool = False, changes: pd.DataFrame | None = None) -> figures.Curve:
    return run_figures.curve(run, run_store(), cards(), ghost, changes)


def plain_run(run: Run) -> Run | None:
    """The newest finished run that differs from this one only in that nothing is split."""
    return next((other for other in comparable(run) if other.spec.teacher == run.spec.teacher), None)


def comparable(run: Run) -> list[Run]:
    return run_figures.comparable(run, run_store(), cards())


# ── images and the line between the groups ──────────────────────────────────────────────────────────


def scrubbed(run: Run) -> Snapshot | None:
    """The epoch whose images are shown: the newest, until the user goes back to an earlier one."""
    epochs = run_store().snapshots(run.id)
    key, seen = f"epoch {run.id}", f"newest epoch {run.id}"
    if not epochs:
        look.line(look.bold("Synthetic images"))
        return None
    chosen = st.session_state.get(key, url.choice("epoch", epochs, epochs[-1]))
    following = chosen >= st.session_state.get(seen, epochs[-1])
    st.session_state[key] = epochs[-1] if following else chosen
    url.put("epoch", None if following else chosen)
    st.session_state[seen] = epochs[-1]
    chosen = epochs[-1]
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        look.line(look.bold("Synthetic images"))
    first = run.fork.epoch + 1 if run.fork else 1
    if run.epochs > first:
        with right:
            chosen = st.slider("Epoch", first, run.epochs, key=key, label_visibility="collapsed", format="epoch %d")
    try:
        return snapshot(run.id, min(epochs, key=lambda epoch: abs(epoch - chosen)))
    except StoreError:  # deleted meanwhile
        return None


def wall(run: Run, shown: Snapshot | None, count: int = WALL, columns: int = 8) -> None:
    """Synthetic images outlined by group, fragile first."""
    if shown is None:
        look.caption("The first ones are kept at the end of epoch 1." if may_change(run) else "None were kept.")
        return
    line, score = line_of(run, shown), shown.scores[run.spec.split.score]
    fragile = score <= line
    chosen = np.argsort(score[:count], kind="stable")
    gallery(
        shown.images[chosen],
        columns=columns,
        roles=["fragile" if fragile[i] else "robust" for i in chosen],
        titles=image_titles(run, shown, fragile, chosen),
    )
    share = f"{look.per_cent(100 * fragile.mean())} %"
    look.line(
        look.swatch("fragile", f"fragile {share}", outline=True),
        look.swatch("robust", outline=True),
        look.quiet(f"of {look.count(len(score))} images · epoch {shown.epoch}"),
    )


def image_titles(run: Run, shown: Snapshot, fragile: np.ndarray, chosen: np.ndarray) -> list[str]:
    """What a pointer sees over each image: the teacher's class and confidence, the score, the group."""
    card, score = cards().get(run.spec.teacher), run.spec.split.score
    classes = card.class_names if card else range(shown.teacher_probs.shape[1])
    titles = []
    for index in chosen:
        sure, value = shown.teacher_probs[index], shown.scores[score][index]
        number = (
            f"{value:.2f}{SCORE_UNITS[score]}"
            if np.isfinite(value)
            else f"> {run.spec.split.max_epsilon:g}{SCORE_UNITS[score]}"
        )
        titles.append(
            f"{classes[int(sure.argmax())]} · {100 * sure.max():.1f} % sure · {SCORE_NAMES[score]} {number} "
            f"· {'fragile' if fragile[index] else 'robust'}"
        )
    return titles


def line_of(run: Run, shown: Snapshot) -> float:
    """Where the line between the groups is drawn: where the user put it, or where the run has it."""
    drawn = lines.drawn(run)
    return shown.threshold if drawn is None else drawn


def scores(run: Run, shown: Snapshot | None) -> None:
    """The histogram with the line to drag, and what can be done with the line."""
    if shown is None:
        chart(figures.scores([], None, look.mode(), score=run.spec.split.score), f"scores-{run.id}", height=360)
        return
    score, line = run.spec.split.score, line_of(run, shown)
    values = shown.scores[score]
    figure = figures.scores(values, line, look.mode(), score=score, max_epsilon=run.spec.split.max_epsilon, line=False)
    low, high = (0.0, run.spec.split.max_epsilon) if score == "min_eps" else (None, None)
    chart(
        figure,
        f"scores-{run.id}",
        height=360,
        threshold=Threshold(
            line,
            low,
            high,
            0.1,
            "threshold",
            SCORE_UNITS[score],
            values,
            left_colour=look.colour("fragile"),
            right_colour=look.colour("robust"),
        ),
        on_threshold=lambda value: lines.draw(run, value),
    )
    moved = lines.drawn(run) not in (None, shown.threshold)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not run.spec.escape.splits:
            look.caption("This run splits nothing: the line sorts the picture only.")
        elif may_change(run):
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
                on_click=lines.draw,
                args=(run, None),
            )
    if not moved:
        look.caption("Drag the line.")
