"""Embedding: where synthetic images lie among real ID and OOD ones, as a teacher sees them; of two runs at once."""

import streamlit as st

from atesc_core.runs import DistillationRun
from pages.embedding import second_run
from pages.embedding.feature_space import Subject
from pages.embedding.map_view import map_view
from pages.shared.data.reports import measuring, report_path, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import elements
from pages.shared.ui.polling import poll
from pages.shared.ui.run_header import run_page_header


def measured(*runs: DistillationRun) -> list[Subject]:
    """The runs with their teachers and what is known of these; none of them while of one nothing is, and the page says
    how far that is."""
    reports = [teacher_report(run.spec.teacher, run.spec.split) for run in runs]
    files = [report_path(run.spec.teacher, run.spec.split) for run in runs]
    for run, report in dict(zip(files, zip(runs, reports, strict=True), strict=True)).values():
        measuring(run.spec.teacher, run.spec.split, report)
    return [
        Subject(run, cards()[run.spec.teacher], report)
        for run, report in zip(runs, reports, strict=True)
        if None not in reports
    ]


run = run_page_header(
    "Embedding", "Where the last layer of the teacher, or of the student, puts images.", with_images=True
)
if run and run.spec.teacher not in cards():
    elements.empty_state("This run's teacher is gone", "The map needs it to place real images. Choose another run.")
elif run:
    two, second = second_run.pick_second_run(run)
    if second and second.spec.teacher not in cards():
        st.warning("The second run's teacher is gone, and its map needs it. Choose another.", icon=":material/help:")
        second = None
    subjects = measured(*(one for one in (run, second) if one))
    if subjects:
        moving = f"map moves {run.id} {second.id if second else ''}"

        def show() -> bool:
            now = [Subject(run_store().refresh(one.run), one.card, one.report) for one in subjects]
            st.session_state[moving] = map_view(*now, two=two)
            return st.session_state[moving]

        poll(show, st.session_state.get(moving, False))
