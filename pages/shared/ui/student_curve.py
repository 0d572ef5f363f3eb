"""The curve of a selection: by epoch, how far the run's students agree with the teacher about the selected images."""

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
    """Draw the card, where images are selected; whether more of the curve is to come. Call it in a fragment.

    Args:
        run: The run.
        snapshot: Of the epoch whose images are selected.
        indices: The selected ones of the snapshot's images.
    """
    if not len(indices):
        st.empty()  # replaces the card: one that is only left out may stay in the browser
        return False
    outputs = cached_probabilities(run_store(), run.id, snapshot)
    # what the student of this very epoch says is in the snapshot
    probabilities = {epoch: found for epoch, output in outputs.items() if (found := output.read()) is not None}
    probabilities[snapshot.epoch] = snapshot.student_probs
    labels = snapshot.teacher_probs.argmax(1)
    scope = f"{formats.count(len(indices))} selected of {formats.count(len(labels))} synthetic images of epoch {snapshot.epoch}"
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
        _kept_students(run, list(outputs))
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


def _kept_students(run: DistillationRun, epochs: list[int]) -> None:
    """Say of how many epochs the student is kept."""
    done = len(run_store().snapshot_epochs(run.id))
    if len(epochs) < done:
        elements.caption(f"The students of {len(epochs)} of {done} epochs are kept: evenly, within a bound on disk.")
