"""The feature space of a teacher or a student: its maps, and the distances from synthetic to real images in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import jobs
from atesc_core.embedding import PCAMap, ReferenceMap, distance_to_others, knn_distance, nearer_to_ood
from atesc_core.embedding.features import content_hash
from atesc_core.figures.run_data import reference_points
from atesc_core.files import load_array, read_cached
from atesc_core.runs import DistillationRun
from atesc_core.runs.students import cached_features
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.report import Report
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.ui.progress import ensure_result

Method = Literal["PCA", "UMAP"]
Network = Literal["teacher", "student"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A run whose images are shown, its teacher, and the teacher's report on real validation images."""

    run: DistillationRun
    card: TeacherCard
    report: Report


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Features of the report's real images, (N, F) and (M, F), and of an epoch's synthetic ones."""

    model_name: str  # "teacher", or "student of epoch 12"
    id: np.ndarray
    ood: np.ndarray
    synthetic: Callable[[int], np.ndarray]  # epoch -> (K, F)

    def distances(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(K,) each: mean distance of the epoch's images to the nearest real ID images, and to the nearest OOD ones."""
        return _knn(self.synthetic(epoch), self.id, self.ood)

    def nearer_to_ood(self, epoch: int) -> float:
        """Per cent of the epoch's images that are nearer to real OOD images than to real ID images."""
        return nearer_to_ood(*self.distances(epoch))

    @property
    def real_nearer_to_ood(self) -> float:
        """The same percentage for the real ID images, each compared with all others."""
        return nearer_to_ood(*_real_knn(self.id, self.ood))

    @property
    def pca(self) -> PCAMap:
        """The PCA map of the real images' features."""
        return _pca(self.id, self.ood)

    @property
    def umap(self) -> ReferenceMap:
        """The UMAP map of the real images' features; a job computes it."""
        return ReferenceMap(self.id, self.ood, run_store().runs_dir / "cache")

    def positions(self, method: Method, features: np.ndarray) -> np.ndarray | None:
        """Positions on the map, (K, F) -> (K, 2); None while UMAP has not computed them."""
        return (self.pca if method == "PCA" else self.umap).transform(features)

    def reference(self, method: Method, report: Report) -> pd.DataFrame:
        """A row for each real image: x, y, domain, id, class."""
        umap = self.umap.coordinates() if method == "UMAP" else None
        return reference_points(report, *(umap or (self.positions(method, side) for side in (self.id, self.ood))))


def teacher_space(subject: Subject) -> FeatureSpace:
    """The features that the run's teacher computes."""
    report = subject.report
    return FeatureSpace(
        "teacher", report.id.features, report.ood.features, lambda epoch: load_snapshot(subject.run.id, epoch).features
    )


def student_space(subject: Subject) -> FeatureSpace | None:
    """The features that the run's student computes; None while they are being computed.

    Real images and the synthetic images of all epochs go through one student, the last one on disk, so that the
    points do not move from epoch to epoch [this lab].

    Raises:
        StoreError: the run has no student on disk.
    """
    run, report, store = subject.run, subject.report, run_store()
    epochs = store.snapshot_epochs(run.id)
    newest = [store.snapshot_file(run.id, epoch) for epoch in epochs[-1:]]
    files = list(store.student_files(run.id).values())[-1:] + newest
    try:
        versions = tuple((str(file), file.stat().st_mtime_ns) for file in files)
        return _student_space(versions, tuple(epochs), content_hash(report.id.images, report.ood.images), subject)
    except FileNotFoundError:  # not all computed yet
        return None


@st.cache_resource(max_entries=8, show_spinner=False)
def _student_space(
    versions: tuple[tuple[str, int], ...], epochs: tuple[int, ...], real: str, _subject: Subject
) -> FeatureSpace:
    sets: dict[Hashable, np.ndarray] = {"id": _subject.report.id.images, "ood": _subject.report.ood.images}
    sets |= {epoch: load_snapshot(_subject.run.id, epoch).images for epoch in epochs}
    epoch, outputs = cached_features(run_store(), _subject.run.id, sets)
    features = {name: read_cached(output.path, load_array) for name, output in outputs.items()}
    return FeatureSpace(f"student of epoch {epoch}", features["id"], features["ood"], features.__getitem__)


def student_progress(subject: Subject) -> bool:
    """Show the progress of ``student_space`` while it is None; return whether to redraw soon."""
    run = subject.run
    key = f"student features {run.id}"
    arguments = "features", run.id, "--runs-dir", str(run_store().runs_dir)
    return ensure_result(
        key,
        f"Features of the student, {run.spec.teacher}",
        lambda: student_space(subject) is None,
        lambda: jobs.start(key, "atesc_core.runs.students", *arguments),
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _knn(features: np.ndarray, id_features: np.ndarray, ood_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return knn_distance(features, id_features), knn_distance(features, ood_features)


@st.cache_data(max_entries=64, show_spinner=False)
def _real_knn(id_features: np.ndarray, ood_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return distance_to_others(id_features), knn_distance(id_features, ood_features)


@st.cache_resource(max_entries=16, show_spinner=False)
def _pca(id_features: np.ndarray, ood_features: np.ndarray) -> PCAMap:
    return PCAMap.fit(id_features, ood_features)
