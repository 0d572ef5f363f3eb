"""The panels of a recipe: from a run, its snapshots and its teacher's report to each figure in print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from atesc_core import figures
from atesc_core.embedding import PCAMap, ReferenceMap, distance_to_others, knn_distance, nearer_to_ood
from atesc_core.errors import FigureNotReadyError
from atesc_core.figures.drift import Drift
from atesc_core.figures.export.recipe import Panel
from atesc_core.figures.run_data import (
    batchnorm_by_epoch,
    class_accuracies,
    evenly_thinned,
    labelled_scores,
    recall_row,
    reference_points,
    robust_curves,
    run_curve,
    threshold_changes,
)
from atesc_core.figures.sources import Sources
from atesc_core.robustness.thresholds import SUGGESTIONS
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.batchnorm import BatchNormReport
from atesc_core.teachers.report import Report

Positions = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]  # of (ID, OOD), synthetic


@dataclass(frozen=True)
class PanelData:
    """The data of one panel, read from its sources when it is needed."""

    panel: Panel
    sources: Sources
    run: DistillationRun

    @cached_property
    def snapshot(self) -> Snapshot:
        """The synthetic images of the panel's epoch, or of the last epoch.

        Raises:
            FigureNotReadyError: The run has no synthetic images yet.
            StoreError: The epoch has no synthetic images.
        """
        epochs = self.sources.store.snapshot_epochs(self.run.id)
        if not epochs:
            raise self.lacks("synthetic images", "epoch 1")
        return self.sources.store.snapshot(self.run.id, self.panel.epoch or epochs[-1])

    def lacks(self, what: str, when: str) -> FigureNotReadyError:
        """The error that says that the run has nothing of ``what`` yet, and when it comes."""
        return FigureNotReadyError(
            f"run: {self.run.id} ({self.run.status}, epoch {self.run.epoch} of {self.run.epochs}) has no {what} yet, "
            f"which {self.panel.figure!r} shows; expected after {when}"
        )

    @property
    def score(self) -> str:
        """The panel's score, or the run's. Raises ValueError if the images do not have this score."""
        name = self.panel.score or self.run.spec.split.score
        if name not in self.snapshot.scores:
            raise ValueError(
                f"score: {name!r} is not kept by run {self.run.id}; expected one of {', '.join(self.snapshot.scores)}"
            )
        return name

    @property
    def values(self) -> NDArray[np.float32]:
        """(N,) scores of the synthetic images."""
        return self.snapshot.scores[self.score]

    @cached_property
    def suggested_thresholds(self) -> dict[str, float]:
        """Rule -> threshold, from the synthetic images alone."""
        return {name: rule(self.values) for name, rule in SUGGESTIONS.items()} if np.isfinite(self.values).any() else {}

    @property
    def threshold(self) -> float | None:
        """The panel's threshold, else the run's; if the panel has another score than the run, Otsu's."""
        if self.panel.threshold is not None:
            return self.panel.threshold
        return (
            self.snapshot.threshold
            if self.score == self.run.spec.split.score
            else self.suggested_thresholds.get("otsu")
        )

    @property
    def fragile(self) -> NDArray[np.bool_]:
        """(N,) which images are fragile: as in the run, unless the panel sets a threshold or a score."""
        as_in_run = self.panel.threshold is None and self.score == self.run.spec.split.score
        return self.snapshot.fragile if as_in_run or self.threshold is None else self.values <= self.threshold

    @cached_property
    def card(self) -> TeacherCard | None:
        """The card of the run's teacher; None if it was deleted."""
        return self.sources.cards().get(self.run.spec.teacher)

    def required_card(self) -> TeacherCard:
        """The card of the run's teacher. Raises FigureNotReadyError if it was deleted."""
        if self.card is None:
            raise FigureNotReadyError(
                f"teacher: {self.run.spec.teacher!r} of run {self.run.id} is gone, and {self.panel.figure!r} needs it"
            )
        return self.card

    @property
    def class_names(self) -> tuple[str, ...]:
        """The teacher's class names, or their numbers if it was deleted."""
        return self.card.class_names if self.card else tuple(map(str, range(self.snapshot.teacher_probs.shape[1])))

    def report(self, attacked: bool) -> Report:
        """The teacher's report on real validation images.

        Args:
            attacked: Whether the report must include the attack.

        Raises:
            FigureNotReadyError: The teacher is not measured yet, or was deleted.
        """
        card = self.required_card()
        report = self.sources.report(card.name, self.run.spec.split, attacked)
        if report is None or attacked and not report.attacked:
            raise FigureNotReadyError(
                f"teacher: {card.name!r} is not measured on real validation images yet; {self.panel.figure!r} "
                "is drawn as soon as it is"
            )
        return report

    def labels_report(self) -> Report:
        """The report with the labels of the panel's network, the run's student or its teacher.

        Raises:
            FigureNotReadyError: The teacher or the student is not measured yet, the teacher was deleted, or the run
                has no student on disk.
        """
        report = self.report(attacked=False)
        if self.panel.network == "teacher":
            return report
        if not self.sources.store.student_files(self.run.id):
            raise self.lacks("student", "epoch 1")
        if (of_student := self.sources.student_report(self.run.id, report)) is None:
            raise FigureNotReadyError(
                f"run: the student of {self.run.id} is not measured on validation images yet; {self.panel.figure!r} is "
                "drawn as soon as it is"
            )
        return of_student

    def batchnorm(self) -> BatchNormReport:
        """Where the teacher's BatchNorm statistics lie on real images.

        Raises:
            FigureNotReadyError: It is not measured yet, or the teacher was deleted.
        """
        card = self.required_card()
        report = self.sources.batchnorm(card.name)
        if report is None:
            raise FigureNotReadyError(
                f"teacher: the BatchNorm layers of {card.name!r} are not measured on real images yet; "
                f"{self.panel.figure!r} is drawn as soon as they are"
            )
        return report


def _accuracy(data: PanelData) -> go.Figure:
    store, cards = data.sources.store, data.sources.cards()
    ghosts = [run_curve(store.get_distillation(run_id), store, cards, ghost=True) for run_id in data.panel.against]
    curve = run_curve(data.run, store, cards, changes=threshold_changes(data.run, store))
    if curve.epochs.empty:
        raise data.lacks("accuracies", "epoch 1")
    return figures.accuracy([*ghosts, curve], "print", data.run.epochs)


def _recalls(data: PanelData) -> go.Figure:
    """The run and the runs to compare it with, at the last epoch of each."""
    store, cards = data.sources.store, data.sources.cards()
    runs = [store.get_distillation(run_id) for run_id in dict.fromkeys((data.run.id, *data.panel.against))]
    names = [run_curve(run, store, cards).label for run in runs]
    names = [
        f"{name}, {run.id}" if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)
    ]  # rows of one name would be drawn over each other
    rows = [recall_row(name, [store.recalls(run.id)]) for name, run in zip(names, runs, strict=True)]
    if rows[0] is None:
        raise data.lacks("recalls", "epoch 1")
    classes = data.card.class_names if data.card else tuple(map(str, range(len(rows[0].recalls))))
    return figures.recalls([row for row in rows if row and len(row.recalls) == len(classes)], "print", classes=classes)


def _by_step(figure: Callable[..., go.Figure]) -> Callable[[PanelData], go.Figure]:
    def draw(data: PanelData) -> go.Figure:
        rounds = data.sources.store.rounds(data.run.id)
        if rounds.empty:
            raise data.lacks("rounds", "round 1")
        return figure(rounds, "print", data.run.epochs)

    return draw


def _scores(data: PanelData) -> go.Figure:
    report = data.report(attacked=True) if data.panel.real else None
    return figures.scores(
        data.values,
        data.threshold,
        "print",
        score=data.score,
        id_values=report.id.score(data.score) if report else None,
        ood_values=report.ood.score(data.score) if report else None,
        max_epsilon=data.run.spec.split.max_epsilon,
    )


def _class_sides(data: PanelData) -> go.Figure:
    return figures.class_sides(
        data.snapshot.teacher_probs.argmax(1), data.fragile, "print", class_names=data.class_names
    )


def _contact_sheet(data: PanelData) -> go.Figure:
    return figures.contact_sheet(data.snapshot.images, "print", fragile=data.fragile, count=72)


def _embedding(data: PanelData) -> go.Figure:
    snapshot, panel = data.snapshot, data.panel
    report = data.report(attacked=False)
    (id_positions, ood_positions), positions = (_umap_positions if panel.method == "UMAP" else _pca_positions)(
        data, report
    )
    synthetic = pd.DataFrame(
        {
            "x": positions[:, 0],
            "y": positions[:, 1],
            "id": range(len(positions)),
            "fragile": data.fragile,
            "score": data.values,
            "class": snapshot.teacher_probs.argmax(1),
        }
    )
    figure = figures.embedding(
        reference_points(report, id_positions, ood_positions),
        synthetic,
        "print",
        method=panel.method,
        colour=panel.colour,
        ground=panel.ground,
        score=data.score,
        threshold=data.threshold,
        class_names=data.class_names,
    )
    if panel.method == "PCA":  # the first direction is much longer than the second: scale each to fill the panel
        figure.update_yaxes(scaleanchor=None)
    return figure


def _drift(data: PanelData) -> go.Figure:
    """The run and the runs to compare it with, each in the feature space of its teacher."""
    store = data.sources.store
    data_of_runs = [data, *(replace(data, run=store.get_distillation(run_id)) for run_id in data.panel.against)]
    return figures.drift([_drift_line(data_of_run) for data_of_run in data_of_runs], "print")


def _drift_line(data: PanelData) -> Drift:
    report, epochs = data.report(attacked=False), evenly_thinned(data.sources.store.snapshot_epochs(data.run.id))
    if not epochs:
        _ = data.snapshot  # raises FigureNotReadyError
    reference = report.id.features, report.ood.features
    shares = [
        nearer_to_ood(
            *(
                knn_distance(data.sources.store.snapshot(data.run.id, epoch).features, features)
                for features in reference
            )
        )
        for epoch in epochs
    ]
    real = nearer_to_ood(distance_to_others(reference[0]), knn_distance(*reference))
    return Drift(epochs, shares, data.required_card().kind, data.run.spec.escape.kind, real, data.run.id)


def _pca_positions(data: PanelData, report: Report) -> Positions:
    """Positions of real ID and OOD images, and of the synthetic images, (N, 2) each."""
    pca = PCAMap.fit(report.id.features, report.ood.features)
    return (pca.transform(report.id.features), pca.transform(report.ood.features)), pca.transform(
        data.snapshot.features
    )


def _umap_positions(data: PanelData, report: Report) -> Positions:
    """As ``_pca_positions``. Raises FigureNotReadyError if the map is missing and the sources do not wait for it."""
    umap = ReferenceMap(report.id.features, report.ood.features, data.sources.store.runs_dir / "cache")
    if data.sources.wait_for_umap:
        if umap.coordinates() is None:
            umap.start()
        umap.wait()
    reference = umap.coordinates()
    positions = None if reference is None else umap.transform(data.snapshot.features)
    if positions is None and reference is not None and data.sources.wait_for_umap:
        umap.wait()
        positions = umap.transform(data.snapshot.features)
    if reference is None or positions is None:
        job = umap.job
        reason = "not started" if job is None else job.error or job.message
        raise FigureNotReadyError(
            f"method: 'UMAP' of this teacher is not there ({reason}); the page Embedding makes it, "
            "and 'PCA' needs no waiting"
        )
    return reference, positions


def _roc(data: PanelData) -> go.Figure:
    is_run_score = data.score == data.run.spec.split.score
    labelled = labelled_scores(data.snapshot, data.score, data.report(attacked=True))
    return figures.roc(labelled, data.snapshot.threshold if is_run_score else None, "print")


def _robust_share(data: PanelData) -> go.Figure:
    report = data.report(attacked=True)
    images = {"id": len(report.id.min_eps), "ood": len(report.ood.min_eps)}
    return figures.robust_share(robust_curves(report), "print", report.auroc("min_eps"), images=images)


def _per_class(data: PanelData) -> go.Figure:
    report = data.labels_report()
    return figures.per_class(class_accuracies(report), "print", report.metric, network=data.panel.network)


def _confusion(data: PanelData) -> go.Figure:
    report, domain = data.labels_report(), data.panel.domain
    return figures.confusion(
        report.confusion(domain),
        "print",
        columns=report.id_classes,
        rows=getattr(report, f"{domain}_classes"),
        domain=domain,
        network=data.panel.network,
    )


def _batchnorm(data: PanelData) -> go.Figure:
    """The run's teacher, and the first of the other runs' teachers that is of the other kind."""
    lines: dict[str, figures.TeacherLine] = {}
    for run_id in (data.run.id, *data.panel.against):
        data_of_run = replace(data, run=data.sources.store.get_distillation(run_id))
        kind = data_of_run.required_card().kind
        if kind not in lines:
            report = data_of_run.batchnorm()
            lines[kind] = figures.TeacherLine(kind, report.layers, report.positions(report.running))
    return figures.batchnorm(list(lines.values()), "print")


def _batchnorm_epochs(data: PanelData) -> go.Figure:
    report, store = data.batchnorm(), data.sources.store
    statistics = batchnorm_by_epoch(data.run.id, store, report)
    if not statistics:
        _ = data.snapshot  # raises FigureNotReadyError
    return figures.batchnorm_epochs(
        list(statistics),
        [report.positions(values) for values in statistics.values()],
        report.layers,
        "print",
        teacher=data.required_card().kind,
        target=report.positions(report.running),
        images=data.run.spec.snapshot_images,
    )


PANEL_BUILDERS: dict[str, Callable[[PanelData], go.Figure]] = {
    "accuracy": _accuracy,
    "recalls": _recalls,
    "losses_generator": _by_step(figures.losses_generator),
    "losses_student": _by_step(figures.losses_student),
    "fragile_share": _by_step(figures.fragile_share),
    "scores": _scores,
    "class_sides": _class_sides,
    "contact_sheet": _contact_sheet,
    "embedding": _embedding,
    "drift": _drift,
    "robust_share": _robust_share,
    "roc": _roc,
    "per_class": _per_class,
    "confusion": _confusion,
    "batchnorm": _batchnorm,
    "batchnorm_epochs": _batchnorm_epochs,
}
