"""The figures of a run in print: where each gets its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.embedding import PCAMap, ReferenceMap
from atesc_core.figures.scores import SCORE_NAMES
from atesc_core.runs import Run, Snapshot
from pages._parts.detection import judged, scores_of
from pages._parts.live import comparable, curve, threshold_changes
from pages._parts.report import class_accuracies, robust_curves
from pages._parts.runs import snapshot
from pages._parts.split import suggestions
from pages._parts.store import run_store

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

NO_IMAGES = "A run keeps its first synthetic images at the end of epoch 1."
NO_TEACHER = "This figure needs the run's teacher, which is gone."
MEASURING = "It is drawn as soon as the teacher is measured on real test images."


@dataclass(frozen=True)
class Wanted:
    """A figure of this run, and what else it was asked to be."""

    run: Run
    card: TeacherCard | None
    report: Report | None
    epoch: int | None = None
    score: str = "min_eps"
    domain: str = "id"
    others: bool = False

    @property
    def shown(self) -> Snapshot | None:
        return None if self.epoch is None else snapshot(self.run.id, self.epoch)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.card.class_names if self.card else tuple(map(str, range(self.shown.teacher_probs.shape[1])))

    @property
    def attacked(self) -> Report | None:
        return self.report if self.report is not None and self.report.attacked else None


Drawn = go.Figure | str  # or why it cannot be drawn yet


def draw(name: str, wanted: Wanted) -> Drawn:
    """The figure with mode="print", or a sentence that says what it waits for."""
    if name in NEEDS_EPOCH and wanted.epoch is None:
        return NO_IMAGES
    if name in NEEDS_REPORT and name != "scores" and wanted.card is None:
        return NO_TEACHER
    return FIGURES_OF_A_RUN[name](wanted)


def questions(name: str, run: Run) -> dict[str, Any]:
    """What this figure leaves open."""
    more: dict[str, Any] = {}
    epochs = run_store().snapshots(run.id)
    if name in NEEDS_EPOCH and epochs:
        more["epoch"] = (st.select_slider("Epoch", epochs, epochs[-1], key=f"figures epoch {run.id}")
                         if len(epochs) > 1 else epochs[0])
    if name in NEEDS_SCORE and epochs:
        kept = scores_of(snapshot(run.id, epochs[-1]), None)
        more["score"] = st.segmented_control("Score", kept, default=run.spec.split.score, required=True,
                                             format_func=SCORE_NAMES.get, key=f"figures score {run.id}")
    if name == "confusion":
        more["domain"] = st.segmented_control("Domain", ["id", "ood"], default="id", required=True,
                                              format_func=str.upper, key="figures domain")
    if name == "accuracy" and comparable(run):
        more["others"] = st.toggle("With comparable runs", True, key="figures others", help=(
            "Plain students of the same teacher, and of the SL teacher: same seed, same images an epoch"))
    return more


def _accuracy(wanted: Wanted) -> Drawn:
    curves = [curve(other, ghost=True) for other in comparable(wanted.run)] if wanted.others else []
    return figures.accuracy([*curves, curve(wanted.run, changes=threshold_changes(wanted.run))], "print",
                            wanted.run.epochs)


def _steps(figure: Callable[..., go.Figure]) -> Callable[[Wanted], Drawn]:
    return lambda wanted: figure(run_store().steps(wanted.run.id), "print", wanted.run.epochs)


def _scores(wanted: Wanted) -> Drawn:
    shown, spec = wanted.shown, wanted.run.spec.split
    values = shown.scores[wanted.score]
    suggested = suggestions(wanted.run.id, shown.epoch, wanted.score, values)
    line = shown.threshold if wanted.score == spec.score else suggested.get("valley")
    real = {"id_values": wanted.attacked.id.scores(wanted.score),
            "ood_values": wanted.attacked.ood.scores(wanted.score)} if wanted.attacked else {}
    return figures.scores(values, line, "print", score=wanted.score, max_epsilon=spec.max_epsilon, **real)


def _class_sides(wanted: Wanted) -> Drawn:
    return figures.class_sides(wanted.shown.teacher_probs.argmax(1), wanted.shown.fragile, "print",
                               class_names=wanted.class_names)


def _contact_sheet(wanted: Wanted) -> Drawn:
    return figures.contact_sheet(wanted.shown.images, "print", fragile=wanted.shown.fragile, count=72)


def _embedding(wanted: Wanted) -> Drawn:
    """UMAP where the page Embedding has made it, else PCA."""
    if wanted.report is None:
        return MEASURING
    id_features, ood_features = wanted.report.id.features, wanted.report.ood.features
    umap = ReferenceMap(id_features, ood_features, run_store().runs_dir / "cache")
    places, method = umap.coordinates(), "UMAP"
    own = umap.transform(wanted.shown.features) if places else None
    if own is None:
        pca, method = PCAMap.fit(id_features, ood_features), "PCA"
        places, own = (pca.transform(id_features), pca.transform(ood_features)), pca.transform(wanted.shown.features)
    reference = pd.DataFrame(np.concatenate(places), columns=["x", "y"]).assign(
        domain=["id"] * len(places[0]) + ["ood"] * len(places[1]))
    synthetic = pd.DataFrame(own, columns=["x", "y"]).assign(
        id=range(len(own)), fragile=wanted.shown.fragile, score=wanted.shown.scores[wanted.run.spec.split.score])
    return figures.embedding(reference, synthetic, "print", method=method)


def _roc(wanted: Wanted) -> Drawn:
    if wanted.attacked is None:
        return MEASURING
    shown, spec = wanted.shown, wanted.run.spec.split
    line = shown.threshold if wanted.score == spec.score else None
    return figures.roc(judged(shown, wanted.score, wanted.attacked), line, "print")


def _robust_share(wanted: Wanted) -> Drawn:
    report = wanted.attacked
    if report is None:
        return MEASURING
    images = {"id": len(report.id.min_eps), "ood": len(report.ood.min_eps)}
    return figures.robust_share(robust_curves(report), "print", report.auroc("min_eps"), images=images)


def _per_class(wanted: Wanted) -> Drawn:
    if wanted.report is None:
        return MEASURING
    return figures.per_class(class_accuracies(wanted.report), "print", wanted.report.metric)


def _confusion(wanted: Wanted) -> Drawn:
    if wanted.report is None:
        return MEASURING
    return figures.confusion(wanted.report.confusion(wanted.domain), "print", columns=wanted.report.id_classes,
                             rows=getattr(wanted.report, f"{wanted.domain}_classes"), domain=wanted.domain)


FIGURES_OF_A_RUN: dict[str, Callable[[Wanted], Drawn]] = {
    "accuracy": _accuracy,
    "losses_generator": _steps(figures.losses_generator),
    "losses_student": _steps(figures.losses_student),
    "fragile_share": _steps(figures.fragile_share),
    "scores": _scores,
    "class_sides": _class_sides,
    "contact_sheet": _contact_sheet,
    "embedding": _embedding,
    "robust_share": _robust_share,
    "roc": _roc,
    "per_class": _per_class,
    "confusion": _confusion,
}
NEEDS_EPOCH = {"scores", "class_sides", "contact_sheet", "embedding", "roc"}
NEEDS_SCORE = {"scores", "roc"}
NEEDS_REPORT = {"scores", "embedding", "robust_share", "roc", "per_class", "confusion"}
