"""Embedding: where synthetic images lie among real ID and OOD ones in a network's feature space; of one run or two."""

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.embedding.feature_space import Subject
from pages.embedding.map_view import map_view
from pages.embedding.second_run import pick_second_run
from pages.shared.data.reports import measuring, report_path, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import elements
from pages.shared.ui.polling import poll
from pages.shared.ui.run_header import run_page_header


def measured(runs: list[DistillationRun]) -> list[Subject]:
    """The runs with their teachers' reports; empty, with progress on the page, until every report is measured."""
    reports = [teacher_report(run.spec.teacher, run.spec.split) for run in runs]
    files = [report_path(run.spec.teacher, run.spec.split) for run in runs]
    for run, report in dict(zip(files, zip(runs, reports, strict=True), strict=True)).values():
        measuring(run.spec.teacher, run.spec.split, report)
    if None in reports:
        return []
    return [
        Subject(run, cards()[run.spec.teacher], report) for run, report in zip(runs, reports, strict=True) if report
    ]


def watch_map(first: Subject, second: Subject | None, two: bool) -> None:
    """Draw one map or both, and redraw them as long as they may change."""
    changing_key = f"map moves {first.run.id} {second.run.id if second else ''}"

    def show() -> bool:
        changing = map_view(refreshed(first), refreshed(second) if second else None, two)
        st.session_state[changing_key] = changing
        return changing

    poll(show, st.session_state.get(changing_key, False))


def refreshed(subject: Subject) -> Subject:
    """The subject with its run read again from the database."""
    return Subject(run_store().refresh(subject.run), subject.card, subject.report)


run = run_page_header(
    "Embedding", "Where the last layer of the teacher, or of the student, puts images.", with_images=True
)
if run and run.spec.teacher not in cards():
    elements.empty_state("This run's teacher is gone", "The map needs it to place real images. Choose another run.")
elif run:
    two, second = pick_second_run(run)
    if second and second.spec.teacher not in cards():
        elements.notice(
            "warning", "The second run's teacher is gone, and its map needs it. Choose another.", icon=":material/help:"
        )
        second = None
    subjects = measured([run, second] if second else [run])
    if subjects:
        watch_map(subjects[0], subjects[1] if second else None, two)
