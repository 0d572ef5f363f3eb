"""The header of a page that shows a run: title, choice of the run, summary of the run."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import DistillationRun, Run
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state.run_choice import pick_run
from pages.shared.ui import elements
from pages.shared.ui.run_labels import method_name

ROWS_NAMED = 10


def run_page_header(title: str, lead: str, *, with_images: bool = False) -> DistillationRun | None:
    """Draw the page's title, the choice of its run and that run's summary.

    Args:
        title: title of the page.
        lead: a sentence on the purpose of the page.
        with_images: offer only runs that have synthetic images.

    Returns:
        The chosen run; None if there is none, and the page then shows what to do.
    """
    if not any(run.metrics or not with_images for run in run_store().distillations()):
        elements.header(title, lead)
        return pick_run(with_images=with_images)
    left, right = st.columns([3, 7], vertical_alignment="bottom")
    with left:
        elements.header(title)
    with right:
        run = pick_run(with_images=with_images)
    if run:
        elements.row(*run_summary(run), elements.muted(lead))
        damage_notices(run)
    return run


def damage_notices(run: Run) -> None:
    """Draw what of the run is left out because it is damaged; nothing if all of it can be read."""
    for path in run_store().damaged_snapshots(run.id):
        elements.notice(
            "warning",
            f"{path}. Its epoch is left out wherever images are chosen. Delete the file.",
            title="A file of synthetic images is damaged.",
            icon=":material/broken_image:",
        )
    if rows := _damaged_rows(str(run_store().runs_dir), run.id, run.epoch, run.status):
        elements.notice(
            "warning",
            f"Left out: {', '.join(rows[:ROWS_NAMED])}{', …' if len(rows) > ROWS_NAMED else ''}. Put a copy of "
            f"runs.sqlite in its place, or make the run again.",
            title="What the database holds of this run is damaged.",
            icon=":material/broken_image:",
        )


@st.cache_data(max_entries=64, show_spinner=False)
def _damaged_rows(runs_dir: str, run_id: str, epoch: int, status: str) -> list[str]:
    """They are looked for once an epoch: reading all rounds of a long run takes a tenth of a second."""
    return run_store().damaged_rows(run_id)


def run_summary(run: DistillationRun) -> list[elements.Html | str]:
    """A run's name if it has one, its teacher, method and status, for ``elements.row``."""
    card = cards().get(run.spec.teacher)
    kind = [elements.teacher_chip(card.kind)] if card else []
    named = [elements.bold(run.label), run.spec.teacher] if run.label and not run.fork else [elements.bold(run.teacher)]
    return [*named, *kind, method_name(run.spec), elements.status_chip(run.status)]
