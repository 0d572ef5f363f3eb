"""The story on the page: three students side by side, live."""

from __future__ import annotations

import streamlit as st

from atesc_core import figures
from atesc_core.runs import Run, ensure_worker
from pages._parts import live, look, story
from pages._parts.chart import chart
from pages._parts.new_run import estimate
from pages._parts.runs import may_change, snapshot
from pages._parts.store import run_store
from pages._parts.teachers import cards

PICTURES, COLUMNS = 24, 8
CHART_HEIGHT = 250


def stage(group: str) -> bool:
    """Everything of a story; whether it may still change."""
    runs = story.parts(group)
    if not runs:
        st.info("This story has been deleted.", icon=":material/delete:")
        return False
    going = any(map(may_change, runs.values()))
    if any(run.status == "queued" for run in runs.values()):
        ensure_worker(run_store().runs_dir)
    curves = {name: run_store().epochs(run.id) for name, run in runs.items()}
    _head(runs, curves, going)
    for column, name in zip(st.columns(len(story.PARTS), gap="medium"), story.PARTS, strict=True):
        if name in runs:
            with column, look.card():
                _student(name, runs)
    return going


def _head(runs: dict[str, Run], curves: dict, going: bool) -> None:
    """What is going on, in a sentence; how long it will take, and a way to stop it."""
    card = cards()[next(iter(runs.values())).spec.teacher]
    words, button = st.columns([5, 1], vertical_alignment="center")
    with words:
        for sentence in story.told(curves, over=not going):
            st.html(f'<p class="atesc" style="font-size:1.2rem;font-weight:600">{look.text(sentence)}</p>')
        look.line(look.quiet(f"{card.pair} · {look.of('ID test', card.test_images['id'])} · "
                             f"{look.of('OOD test', card.test_images['ood'])} · one seed"),
                  look.quiet(time_left(runs)) if going else "")
    with button:
        if going:
            st.button("Stop", icon=":material/stop:", key=f"stop {runs['plain'].group}", width="stretch",
                      on_click=_stop, args=(list(runs.values()),))


def _stop(runs: list[Run]) -> None:
    for run in reversed(runs):  # those in line first, or the next would start
        run_store().stop(run.id)


def time_left(runs: dict[str, Run]) -> str:
    """Until the last student is done, where the speed of all that is left is known."""
    left = [run.eta_s if run.status == "running" else estimate(run.spec) for run in runs.values() if run.active]
    if not left:
        return "paused"
    known = [part for part in left if part is not None]
    if len(known) == len(left):
        return f"about {look.duration(sum(known))} left"
    return f"this student: {look.duration(known[0])} left" if known else "starting"


def _student(name: str, runs: dict[str, Run]) -> None:
    """One student: whose, how far, its accuracies by epoch, and what its generator makes."""
    run, part = runs[name], story.PARTS[name]
    look.line(look.bold(part.title), look.chip(f"{part.kind} teacher", part.kind), look.status(run.status))
    look.line(look.quiet(live.progress_words(run)))
    behind = [live.curve(runs["plain"], ghost=True)] if name != "plain" and "plain" in runs else []
    figure = figures.accuracy([*behind, live.curve(run)], look.mode(), run.epochs)
    if run.metrics:  # the tiles below say the last values
        figure.update_layout(annotations=[], margin_r=14)
    figure.update_layout(showlegend=False)
    chart(figure, f"story-{name}", height=CHART_HEIGHT, revision=run.id, label=f"Accuracy of the {part.title}")
    if run.metrics:
        epoch = int(run_store().epochs(run.id)["epoch"].iloc[-1])
        look.tiles(*(live.metric_tile(run, metric, epoch) for metric in run.metrics))
    epochs = run_store().snapshots(run.id)
    live.wall(run, snapshot(run.id, epochs[-1]) if epochs else None, PICTURES, COLUMNS)
    st.page_link("pages/distill.py", label="Look closer", icon=":material/experiment:", query_params={"run": run.id})
