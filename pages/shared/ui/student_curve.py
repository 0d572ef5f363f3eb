"""The agreement of each epoch's student with the teacher on the selected images, as a curve by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from atesc_core import jobs
from atesc_core.figures.agreement import agreement as agreement_figure
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.runs.students import agreement, cached_probabilities
from pages.shared.data.store import run_store
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.progress import ensure_result

MODULE = "atesc_core.runs.students"


def student_curve(run: DistillationRun, snapshot: Snapshot, indices: Sequence[int]) -> bool:
    """Draw the card with the curve, if images are selected. Call it in a fragment.

    Args:
        run: The run.
        snapshot: The images of the epoch in which images are selected.
        indices: Indices of the selected images in the snapshot.

    Returns:
        Whether students are still being evaluated.
    """
    if not len(indices):
        st.empty()  # replaces the card: without it, the card may stay in the browser (Streamlit 1.67)
        return False
    outputs = cached_probabilities(run_store(), run.id, snapshot)
    # the snapshot holds the answers of the student of its epoch
    probabilities = {epoch: values for epoch, output in outputs.items() if (values := output.read()) is not None}
    probabilities[snapshot.epoch] = snapshot.student_probs
    labels = snapshot.teacher_probs.argmax(1)
    counts = f"{formats.count(len(indices))} selected of {formats.count(len(labels))}"
    scope = f"{counts} synthetic images of epoch {snapshot.epoch}"
    with elements.card("What the students say of the selection", f"{scope}; agreement with the teacher, not accuracy"):
        figure = agreement_figure(
            agreement(probabilities, labels, indices),
            agreement(probabilities, labels),
            appearance.mode(),
            images=(len(indices), len(labels)),
            epoch=snapshot.epoch,
            epochs=run.epochs,
        )
        chart(figure, "agreement", height=300, label="Agreement of each epoch's student with the teacher")
        _students_note(run, list(outputs))
        if outputs.keys() <= probabilities.keys():
            return False
        key = f"students {run.id} {snapshot.epoch}"
        arguments = "probabilities", run.id, str(snapshot.epoch), "--runs-dir", str(run_store().runs_dir)
        return ensure_result(
            key,
            "Asking the students",
            lambda: any(output.read() is None for output in outputs.values()),
            lambda: jobs.start(key, MODULE, *arguments, queue="short"),
        )


def _students_note(run: DistillationRun, epochs: list[int]) -> None:
    """Draw for how many epochs the student is on disk."""
    done = len(run_store().snapshot_epochs(run.id))
    if len(epochs) < done:
        elements.caption(f"The students of {len(epochs)} of {done} epochs are kept: evenly, within a bound on disk.")
