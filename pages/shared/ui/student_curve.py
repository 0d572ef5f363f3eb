"""What a run's students, epoch by epoch, say of the selected images: the selection on the student's side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from atesc_core import jobs
from atesc_core.figures.agreement import agreement as figure_of
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.runs.students import agreement, cached_probabilities
from pages.shared.data.store import run_store
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.progress import ensure_result

MODULE = "atesc_core.runs.students"


def student_curve(run: DistillationRun, shown: Snapshot, indices: Sequence[int]) -> bool:
    """The card, where images are selected; whether more of the curve is to come. Call it in a fragment.

    indices: the selected ones of the snapshot's images.
    """
    if not len(indices):
        st.empty()  # replaces the card: one that is only left out may stay in the browser
        return False
    outputs = cached_probabilities(run_store(), run.id, shown)
    # what the student of this very epoch says is in the snapshot
    said = {epoch: found for epoch, output in outputs.items() if (found := output.read()) is not None}
    said[shown.epoch] = shown.student_probs
    labels = shown.teacher_probs.argmax(1)
    of = f"{formats.count(len(indices))} selected of {formats.count(len(labels))} synthetic images of epoch {shown.epoch}"
    with elements.card("What the students say of the selection", f"{of}; agreement with the teacher, not accuracy"):
        figure = figure_of(
            agreement(said, labels, indices),
            agreement(said, labels),
            appearance.mode(),
            images=(len(indices), len(labels)),
            epoch=shown.epoch,
            epochs=run.epochs,
        )
        chart(figure, "agreement", height=300, label="Agreement of each epoch's student with the teacher")
        _about(run, list(outputs))
        if outputs.keys() <= said.keys():
            return False
        key = f"students {run.id} {shown.epoch}"
        arguments = "probabilities", run.id, str(shown.epoch), "--runs-dir", str(run_store().runs_dir)
        return ensure_result(
            key,
            "Asking the students",
            lambda: any(output.read() is None for output in outputs.values()),
            lambda: jobs.start(key, MODULE, *arguments, queue="short"),
        )


def _about(run: DistillationRun, kept: list[int]) -> None:
    """Which students there are."""
    done = len(run_store().snapshot_epochs(run.id))
    if len(kept) < done:
        elements.caption(f"The students of {len(kept)} of {done} epochs are kept: evenly, within a bound on disk.")
