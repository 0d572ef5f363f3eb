"""The UMAP of real ID and OOD images, and other images on it.

A map is a folder of the cache. A hash of its features and settings is its name, so every visitor finds it, also after
a restart.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from atesc_core import jobs
from atesc_core.embedding.features import Coordinates, check_features, content_hash
from atesc_core.embedding.map_folder import COORDINATES, FEATURES, SETTINGS, MapFolder
from atesc_core.embedding.map_process import MAP_PROCESS

NEIGHBOURS, MIN_DISTANCE = 15, 0.1  # umap-learn's own defaults


class ReferenceMap:
    """A fixed map: it is fitted once on real ID and OOD features, and then places other features.

    The constructor computes nothing. ``start`` and ``transform`` start a job if something is missing and return at
    once; call them again, or ``wait``, until there is a result. The same features and seed give the same map.

    Args:
        id_features: (N, F) of real ID images.
        ood_features: (M, F) of real OOD images.
        cache_dir: The cache of the lab: maps are in its folder ``embedding``, compiled code in ``numba``.
        neighbours: UMAP's ``n_neighbors``.
        min_distance: UMAP's ``min_dist``.
        seed: Seed of UMAP's random numbers.

    Raises:
        ValueError: The features are unusable.
    """

    def __init__(
        self,
        id_features: ArrayLike,
        ood_features: ArrayLike,
        cache_dir: Path | str,
        *,
        neighbours: int = NEIGHBOURS,
        min_distance: float = MIN_DISTANCE,
        seed: int = 0,
    ) -> None:
        self.id = check_features(id_features, "ID features")
        self.ood = check_features(ood_features, "OOD features", self.id.shape[1])
        images = len(self.id) + len(self.ood)
        if images < 10:
            raise ValueError(f"features: {images} images; expected at least 10 for a map")
        self.settings = {"neighbours": min(neighbours, images - 1), "min_distance": min_distance, "seed": seed}
        self.cache_dir = Path(cache_dir)
        self.key = content_hash(self.id, self.ood, umap=version("umap-learn"), **self.settings)
        self.folder = MapFolder(self.cache_dir / "embedding" / self.key)

    @classmethod
    def fit(
        cls, id_features: ArrayLike, ood_features: ArrayLike, cache_dir: Path | str, **settings: Any
    ) -> ReferenceMap:
        """Make the map of these features and start its job."""
        reference = cls(id_features, ood_features, cache_dir, **settings)
        if reference.coordinates() is None:
            reference.start()
        return reference

    @property
    def job(self) -> jobs.Job | None:
        """The last job that fitted the map or placed features on it; None if this process has started none."""
        return jobs.find(self._job_key)

    def start(self) -> jobs.Job:
        """Start the job that fits the map and places requested batches. After a stop or failure, call ``restart``."""
        job = self.job
        return self.restart() if job is None or job.state == "done" else job

    def restart(self) -> jobs.Job:
        """Start the job, also after a stop or a failure. Earlier results are reused."""
        if not self.folder.has(FEATURES):
            self.folder.write(FEATURES, np.concatenate([self.id, self.ood]))
        if not self.folder.has(SETTINGS):
            self.folder.write(SETTINGS, json.dumps(self.settings))
        return jobs.start_thread(
            self._job_key,
            lambda job: MAP_PROCESS.complete(self.folder, self.cache_dir / "numba", job.report, job.stop_requested),
            on_stop=MAP_PROCESS.stop,
            queue="map",
        )

    def coordinates(self) -> tuple[Coordinates, Coordinates] | None:
        """Positions of ID and OOD images, (N, 2) and (M, 2); None until the map is fitted."""
        positions = self.folder.read(COORDINATES)
        return None if positions is None else (positions[: len(self.id)], positions[len(self.id) :])

    def transform(self, features: ArrayLike) -> Coordinates | None:
        """Positions of other features, (N, F) -> (N, 2). If they are not placed yet, starts a job and returns None.

        UMAP places a batch as a whole, so always pass a complete batch, such as an epoch's snapshot.
        """
        batch = check_features(features, "features", self.id.shape[1])
        if not len(batch):
            return np.empty((0, 2), np.float32)
        name = content_hash(batch)
        positions = self.folder.read(self.folder.positions(name))
        if positions is None:
            if not self.folder.has(self.folder.request(name)):
                self.folder.write(self.folder.request(name), batch)
            self.start()
        return positions

    def wait(self, timeout_s: float = 300.0) -> None:
        """Block until the job has ended, for a script or a test.

        Raises:
            TimeoutError: It has not ended in time.
        """
        job = self.job
        if job is not None and not job.wait(timeout_s):
            raise TimeoutError(f"embedding: {job.message}, after {timeout_s:g} s")

    @property
    def _job_key(self) -> str:
        return f"map {self.folder.path}"
