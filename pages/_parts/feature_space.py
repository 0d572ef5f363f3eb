"""A space of features, and what is asked of it: where images lie on a map of it, how far they are from real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core.embedding import PCAMap, ReferenceMap, distance_to_others, knn_distance
from atesc_core.figures.of_run import ground_points
from atesc_core.runs import Run
from pages._parts.runs import snapshot
from pages._parts.store import run_store

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

AT_MOST = 24  # epochs whose images set the map's extent and the curves below it

Method = Literal["PCA", "UMAP"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A run whose images are looked at, its teacher, and what that does with real test images."""

    run: Run
    card: TeacherCard
    report: Report


@dataclass(frozen=True, eq=False)
class Space:
    """Features of the report's real images, (N, F) and (M, F), and of an epoch's synthetic ones."""

    id: np.ndarray
    ood: np.ndarray
    of: Callable[[int], np.ndarray]  # epoch -> (K, F)

    def distances(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(K,) each: mean distance of the epoch's images to the nearest real ID images, and to the nearest OOD ones."""
        return _knn(self.of(epoch), self.id, self.ood)

    def nearer_to_ood(self, epoch: int) -> float:
        """Per cent of the epoch's images whose nearest real images are nearer in OOD than in ID."""
        to_id, to_ood = self.distances(epoch)
        return float(100 * (to_ood < to_id).mean())

    @property
    def real_nearer_to_ood(self) -> float:
        """The same of the real ID images, each among all others: how far this space tells the two domains apart."""
        to_id, to_ood = _real_knn(self.id, self.ood)
        return float(100 * (to_ood < to_id).mean())

    @property
    def pca(self) -> PCAMap:
        return _pca(self.id, self.ood)

    @property
    def umap(self) -> ReferenceMap:
        return ReferenceMap(self.id, self.ood, run_store().runs_dir / "cache")

    def places(self, method: Method, features: np.ndarray) -> np.ndarray | None:
        """(K, 2); None while UMAP has not placed them."""
        return (self.pca if method == "PCA" else self.umap).transform(features)

    def ground(self, method: Method, report: Report) -> pd.DataFrame:
        """A row a real image: x, y, domain, id, class."""
        places = self.umap.coordinates() if method == "UMAP" else None
        return ground_points(report, *(places or (self.places(method, side) for side in (self.id, self.ood))))


def of_teacher(subject: Subject) -> Space:
    report = subject.report
    return Space(report.id.features, report.ood.features, lambda epoch: snapshot(subject.run.id, epoch).features)


def some(epochs: Sequence[int]) -> list[int]:
    """Not more than AT_MOST of them, evenly, the first and the last included."""
    at = np.unique(np.linspace(0, len(epochs) - 1, min(AT_MOST, len(epochs))).round().astype(int))
    return [epochs[index] for index in at]


@st.cache_data(max_entries=256, show_spinner=False)
def _knn(features: np.ndarray, id_features: np.ndarray, ood_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return knn_distance(features, id_features), knn_distance(features, ood_features)


@st.cache_data(max_entries=64, show_spinner=False)
def _real_knn(id_features: np.ndarray, ood_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return distance_to_others(id_features), knn_distance(id_features, ood_features)


@st.cache_resource(max_entries=16, show_spinner=False)
def _pca(id_features: np.ndarray, ood_features: np.ndarray) -> PCAMap:
    return PCAMap.fit(id_features, ood_features)
