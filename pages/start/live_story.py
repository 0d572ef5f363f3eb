"""The story on the page: three students side by side, live."""

from __future__ import annotations

import streamlit as st

from atesc_core import figures
from atesc_core.recording.story import STORY_ROLES
from atesc_core.recording.verdict import story_verdict
from atesc_core.runs import DistillationRun, ensure_worker
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data import story
from pages.shared.data.cost import estimated_seconds
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements, formats, image_wall, run_panel
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live

PICTURES, COLUMNS = 24, 8
CHART_HEIGHT = 250
SAID = "font-size:1.2rem;font-weight:600;line-height:1.4"  # read from the back row


def stage(group: str) -> bool:
    """Everything of a story; whether it may still change."""
    runs = story.runs(group)
    if not runs:
        st.info("This story has been deleted.", icon=":material/delete:")
        return False
    going = any(map(is_live, runs.values()))
    if any(run.status == "queued" for run in runs.values()):
        ensure_worker(run_store().runs_dir)
    curves = {name: run_store().epochs(run.id) for name, run in runs.items()}
    _head(runs, curves, going)
    for column, name in zip(st.columns(len(STORY_ROLES), gap="medium"), STORY_ROLES, strict=True):
        if name in runs:
            with column, elements.card():
                _student(name, runs)
    return going


def _head(runs: dict[str, DistillationRun], curves: dict, going: bool) -> None:
    """What is going on, in a sentence or two; how long it will take, and a way to stop it."""
    card = cards()[next(iter(runs.values())).spec.teacher]
    words, button = st.columns([6, 1], vertical_alignment="center")
    with words:
        sentences = "<br>".join(elements.as_html(sentence) for sentence in story_verdict(curves, finished=not going))
        st.html(f'<p class="atesc" role="status" style="{SAID}">{sentences}</p>')
        elements.row(
            elements.muted(
                f"{card.pair} · accuracies on {formats.count(card.test_images['id'])} ID and "
                f"{formats.count(card.test_images['ood'])} OOD test images · one seed"
            ),
            elements.bold(time_left(runs)) if going else "",
        )
    with button:
        if going:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="stop story",
                width="stretch",
                on_click=_stop,
                args=(list(runs.values()),),
                help="Stop the students that are not done; what they have is kept",
            )


def _stop(runs: list[DistillationRun]) -> None:
    for run in reversed(runs):  # those in line first, or the next would start
        run_store().stop(run.id)


def time_left(runs: dict[str, DistillationRun]) -> str:
    """Until the last student is done, where the speed of all that is left is known."""
    left = [
        run.eta_s if run.status == "running" else estimated_seconds(run.spec) for run in runs.values() if run.active
    ]
    if not left:
        return "paused"
    known = [part for part in left if part is not None]
    if len(known) == len(left):
        return f"about {formats.duration(sum(known))} left"
    return f"this student: {formats.duration(known[0])} left" if known else "starting"


def _student(name: str, runs: dict[str, DistillationRun]) -> None:
    """One student: whose, how far, its accuracies by epoch, and what its generator makes."""
    run, part = runs[name], STORY_ROLES[name]
    elements.row(elements.bold(part.title), elements.teacher_chip(part.kind))
    elements.row(elements.status_chip(run.status), elements.muted(_place(run)))
    st.html(elements.progress_bar(run.progress))
    behind = [run_panel.curve(runs["plain"], ghost=True)] if name != "plain" and "plain" in runs else []
    figure = figures.accuracy([*behind, run_panel.curve(run)], appearance.mode(), run.epochs)
    figure.update_layout(showlegend=False, margin_r=14)
    if run.metrics:
        figure.layout.annotations = ()  # the tiles below say the last values
    chart(figure, f"story-{name}", height=CHART_HEIGHT, revision=run.id, label=f"Accuracy of the {part.title}")
    if run.metrics:
        _numbers(run)
    epochs = run_store().snapshot_epochs(run.id)
    image_wall.image_wall(run, load_snapshot(run.id, epochs[-1]) if epochs else None, PICTURES, COLUMNS)
    st.page_link(
        "pages/distill/page.py", label="Look closer", icon=":material/experiment:", query_params={"run": run.id}
    )


def _place(run: DistillationRun) -> str:
    words = [f"epoch {run.epoch}/{run.epochs}"] if run.epoch or run.queue_position is None else []
    if run.queue_position is not None:
        words.append("next in line" if run.queue_position == 1 else f"place {run.queue_position} in line")
    if run.eta_s is not None:
        words.append(f"{formats.duration(run.eta_s)} left")
    return " · ".join(words)


def _numbers(run: DistillationRun) -> None:
    """The last accuracies in two tiles that stay beside each other in a narrow column."""
    epoch = int(run_store().epochs(run.id)["epoch"].iloc[-1])
    tiles = "".join(
        elements.tile(
            METRIC_NAMES[metric],
            formats.per_cent(value),
            "%",
            role="id" if metric == "iacc" else "ood",
            measured_on=f"{'ID' if metric == 'iacc' else 'OOD'}, epoch {epoch}",
        )
        for metric, value in run.metrics.items()
    )
    st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:1fr 1fr">{tiles}</div>')
