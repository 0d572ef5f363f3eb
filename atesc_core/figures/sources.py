"""The sources from which figures of runs read their data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atesc_core.runs import RunStore
from atesc_core.runs.students import validation_labels
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers import TeacherCard, list_teachers
from atesc_core.teachers.batchnorm import BatchNormReport
from atesc_core.teachers.report import Report


@dataclass(frozen=True)
class Sources:
    """The sources of the data in figures.

    Attributes:
        store: The runs.
        cards: Returns teacher -> card.
        report: (teacher, split, attacked) -> the teacher's report on real validation images, attacked or not; None if
            it is not measured yet.
        batchnorm: teacher -> where its BatchNorm statistics lie on real images; None if that is not measured yet.
        student_report: (run, its teacher's report) -> the report with the labels of the run's last student; None if
            they are not computed yet.
        wait_for_umap: Whether to wait until a missing UMAP is made, instead of raising FigureNotReadyError.
    """

    store: RunStore
    cards: Callable[[], dict[str, TeacherCard]]
    report: Callable[[str, SplitSpec, bool], Report | None]
    batchnorm: Callable[[str], BatchNormReport | None]
    student_report: Callable[[str, Report], Report | None]
    wait_for_umap: bool = False


def measuring_sources(
    store: RunStore, on_progress: Callable[[float, str], None] = lambda share, message: None
) -> Sources:
    """Sources that measure missing reports in this process.

    Args:
        store: The store that has the runs.
        on_progress: Called with the progress of a measurement, 0..1, and a text that says what is being measured.
    """

    def cards() -> dict[str, TeacherCard]:
        return {card.name: card for card in list_teachers(store.runs_dir)}

    def report(teacher: str, split: SplitSpec, attacked: bool) -> Report:
        from atesc_core.teachers.measurement import measured_report

        return measured_report(teacher, store.runs_dir, split, attacked=attacked, on_progress=on_progress)

    def batchnorm(teacher: str) -> BatchNormReport:
        from atesc_core.teachers.batchnorm_measurement import measured_batchnorm

        return measured_batchnorm(teacher, store.runs_dir, on_progress)

    def student_report(run_id: str, report: Report) -> Report | None:
        from atesc_core.runs.students.__main__ import compute_labels

        compute_labels(store, run_id)
        return validation_labels(store, run_id, report).in_report(report)

    return Sources(store, cards, report, batchnorm, student_report, wait_for_umap=True)
