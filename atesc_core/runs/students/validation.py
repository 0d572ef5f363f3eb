"""A run's last student on the validation images that its teacher is measured on: the labels that it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atesc_core.embedding.features import content_hash
from atesc_core.files import atomic_write, load_arrays, read_cached
from atesc_core.runs import RunStore
from atesc_core.runs.students.outputs import file_hash, last_student
from atesc_core.teachers.report import Report


@dataclass(frozen=True)
class ValidationLabels:
    """The labels that one student gives, computed or not yet."""

    epoch: int  # of the student
    path: Path  # of the labels, whether or not they are computed

    def in_report(self, report: Report) -> Report | None:
        """``report`` with the student's labels in place of the teacher's; None if they are not computed yet.

        Only labels are the student's: `Report.hits` and `Report.confusion`, and nothing else.
        """
        try:
            given = read_cached(self.path, load_arrays)
        except FileNotFoundError:
            return None
        return replace(
            report, id=replace(report.id, predicted=given["id"]), ood=replace(report.ood, predicted=given["ood"])
        )

    def write(self, id_labels: NDArray[np.int64], ood_labels: NDArray[np.int64]) -> None:
        """Write the labels, (M,) each, atomically."""
        with atomic_write(self.path) as file:
            np.savez(file, allow_pickle=False, id=id_labels, ood=ood_labels)


def validation_labels(store: RunStore, run_id: str, report: Report) -> ValidationLabels:
    """The labels of the run's last student for the images of ``report``, its teacher's.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: no student is on disk.
    """
    epoch, student = last_student(store, run_id)
    name = content_hash(
        report.id.labels,
        report.ood.labels,
        report.id.images,
        report.ood.images,
        student=file_hash(student, student.stat().st_mtime_ns),
        what="labels",
    )
    return ValidationLabels(epoch, store.runs_dir / "cache" / "students" / f"{name}.npz")
