"""The live story on the Start page: four students side by side."""

from __future__ import annotations

import streamlit as st

from atesc_core import figures
from atesc_core.recording.story import STORY_ROLES
from atesc_core.recording.verdict import story_verdict
from atesc_core.runs import DistillationRun
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data import story
from pages.shared.data.cost import at_once, estimated_seconds, seconds_together
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements, formats, image_wall, run_panel
from pages.shared.ui.actions import action_button
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_header import damage_notices
from pages.shared.ui.run_labels import queue_position

WALL_IMAGES, COLUMNS = 24, 8
CHART_HEIGHT = 250
VERDICT_STYLE = "font-size:1.2rem;font-weight:600;line-height:1.4"  # legible from the back row


def follow_story(group: str) -> None:
    """Draw the story of this group, and redraw it while it may change."""
    poll(lambda: _show_story(group), story.in_progress(group), every_s=1.5)
    if story.runs(group):
        st.page_link(
            "story/page.py", label="The same in five steps", icon=":material/slideshow:", query_params={"story": group}
        )


def _show_story(group: str) -> bool:
    """Draw the four students; return whether any of them may still change."""
    runs = story.runs(group)
    if not runs:
        elements.notice("info", "This story has been deleted.", icon=":material/delete:")
        return False
    in_progress = any(map(is_live, runs.values()))
    _verdict(runs, in_progress)
    with st.container(key="students"):
        for column, role in zip(st.columns(len(runs), gap="small"), runs, strict=True):
            with column, elements.card():
                _show_student(role, runs)
    return in_progress


def _verdict(runs: dict[str, DistillationRun], in_progress: bool) -> None:
    """Draw the conclusion from the accuracies so far, the time left, and a button that stops the story."""
    card = cards()[next(iter(runs.values())).spec.teacher]
    curves = {role: run_store().epochs(run.id) for role, run in runs.items()}
    text, button = st.columns([6, 1], vertical_alignment="center")
    with text:
        sentences = "<br>".join(map(elements.as_html, story_verdict(curves, finished=not in_progress)))
        st.html(f'<p class="atesc" role="status" style="{VERDICT_STYLE}">{sentences}</p>')
        elements.row(
            elements.muted(
                f"{card.pair} · accuracies on {formats.count(card.test_images['id'])} ID and "
                f"{formats.count(card.test_images['ood'])} OOD test images · one seed"
            ),
            elements.bold(_time_left(runs)) if in_progress else "",
        )
    with button:
        if in_progress:
            action_button(
                "Stop",
                icon=":material/stop:",
                key="stop story",
                width="stretch",
                on_click=_stop,
                args=(list(runs.values()),),
                help="Stop the students that are not done; what they have is kept",
            )


def _stop(runs: list[DistillationRun]) -> None:
    for run in reversed(runs):  # waiting runs first: otherwise the worker would start the next one
        run_store().stop(run.id)


def _time_left(runs: dict[str, DistillationRun]) -> str:
    """Time until the last student is done, as text; if it is not known, only the time of the present student."""
    left = [
        run.eta_s if run.status == "running" else estimated_seconds(run.spec) for run in runs.values() if run.active
    ]
    if not left:
        return "paused"
    known = [seconds for seconds in left if seconds is not None]
    if len(known) == len(left):
        return f"about {formats.duration(seconds_together(known, at_once(run.spec for run in runs.values())))} left"
    return f"this student: {formats.duration(known[0])} left" if known else "starting"


def _show_student(role: str, runs: dict[str, DistillationRun]) -> None:
    """Draw one student: its teacher, progress, accuracies by epoch, and synthetic images."""
    run, student = runs[role], STORY_ROLES[role]
    elements.row(elements.bold(student.title), elements.teacher_chip(student.kind))
    elements.row(elements.status_chip(run.status), elements.muted(_position(run)))
    st.html(elements.progress_bar(run.progress))
    behind = [run_panel.curve(runs["plain"], ghost=True)] if role != "plain" and "plain" in runs else []
    figure = figures.accuracy([*behind, run_panel.curve(run)], appearance.mode(), run.epochs)
    figure.update_layout(showlegend=False, margin_r=14)
    if run.metrics:
        figure.layout.annotations = ()  # the tiles below show the last values
    chart(figure, f"story-{role}", height=CHART_HEIGHT, revision=run.id, label=f"Accuracy of the {student.title}")
    if run.metrics:
        _accuracy_tiles(run)
    damage_notices(run)
    epochs = run_store().snapshot_epochs(run.id)
    image_wall.image_wall(run, load_snapshot(run.id, epochs[-1]) if epochs else None, WALL_IMAGES, COLUMNS)
    st.page_link("distill/page.py", label="Look closer", icon=":material/experiment:", query_params={"run": run.id})


def _position(run: DistillationRun) -> str:
    """The run's epoch, position in the queue and time left, as text."""
    parts = [f"epoch {run.epoch}/{run.epochs}"] if run.epoch or run.queue_position is None else []
    parts += queue_position(run)
    if run.eta_s is not None:
        parts.append(f"{formats.duration(run.eta_s)} left")
    return " · ".join(parts)


def _accuracy_tiles(run: DistillationRun) -> None:
    """Draw the last accuracies in two tiles, side by side even in a narrow column."""
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
        if metric in METRIC_NAMES
    )
    columns = "repeat(auto-fit, minmax(6.4rem, 1fr))"
    st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:{columns}">{tiles}</div>')
