"""The work of the map process: import UMAP, fit maps, place batches of features on them."""

from __future__ import annotations

import json
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from atesc_core.embedding.map_folder import COORDINATES, FEATURES, LOCK, MODEL, SETTINGS, MapFolder
from atesc_core.files import read_cached
from atesc_core.jobs import report_progress

# Seconds on two cores with nothing compiled yet; measured times of this machine replace them after the first use.
EXPECTED_S = {"import": 20.0, "fit": 25.0, "transform": 5.0}
MODELS = 4  # in memory at once


class MapWorker:
    """Completes maps, one after the other. UMAP is imported for the first that needs it."""

    def __init__(self) -> None:
        self._models: dict[Path, Any] = {}  # last used last

    def complete(self, path: Path) -> None:
        """Fit the map in this folder and place all its requested batches, unless that is done already.

        This machine computes one map at a time: two would each take twice as long. Nothing is computed twice.
        """
        folder = MapFolder(path)
        with _only_one(path.parent / LOCK):
            if not folder.has(COORDINATES):
                self._model(folder)
            while requested := folder.requested():
                for name in requested:
                    self._place_batch(folder, name)

    def _place_batch(self, folder: MapFolder, name: str) -> None:
        features = folder.read(folder.request(name))
        if features is not None and not folder.has(folder.positions(name)):
            model = self._model(folder)
            with _timed(folder.path.parent, f"Placing {len(features):,} images on the map", "transform"):
                folder.write(folder.positions(name), model.transform(features).astype(np.float32))
        folder.close_request(name)

    def _model(self, folder: MapFolder) -> Any:
        """The fitted UMAP model of the map (``Any``: UMAP has no types)."""
        model = self._models.pop(folder.path, None) or _load(folder) or _fit(folder)
        self._models[folder.path] = model
        for path in list(self._models)[:-MODELS]:
            del self._models[path]
        return model


def _load(folder: MapFolder) -> Any:
    content = folder.read(MODEL)
    if content is None:
        return None
    _import_umap(folder, "Starting UMAP")
    # Safe to unpickle: this program wrote it into its own cache. Uploads are never unpickled.
    return pickle.loads(content.tobytes())


def _fit(folder: MapFolder) -> Any:
    settings = _read_json(folder.path / SETTINGS)
    features = folder.read(FEATURES)
    if features is None:
        raise FileNotFoundError(folder.path / FEATURES)
    umap = _import_umap(folder, f"Starting UMAP for {len(features):,} real images", "fit")
    with _timed(folder.path.parent, f"Fitting UMAP to {len(features):,} real images", "fit"):
        # UMAP gives the same map twice only with a seed and one thread.
        model = umap.UMAP(
            n_neighbors=settings["neighbours"],
            min_dist=settings["min_distance"],
            random_state=settings["seed"],
            transform_seed=settings["seed"],
            n_jobs=1,
        ).fit(features)
        folder.write(COORDINATES, model.embedding_.astype(np.float32))
        folder.write(MODEL, np.frombuffer(pickle.dumps(model), np.uint8))
    return model


def _import_umap(folder: MapFolder, message: str, *next_parts: str) -> Any:
    with _timed(folder.path.parent, message, "import", *next_parts):
        warnings.filterwarnings("ignore", message="n_jobs value")
        import umap
    return umap


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock of all maps. While another process holds it, report that this one waits."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report_progress(0, "Waiting for another map")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _timed(folder: Path, message: str, part: str, *next_parts: str) -> Iterator[None]:
    """Report the expected time of ``part`` and ``next_parts``; store in ``folder`` the time that ``part`` took."""
    expected = EXPECTED_S | _timings(folder)
    report_progress(0, message, expected_s=sum(expected[name] for name in (part, *next_parts)))
    began = time.monotonic()
    yield
    MapFolder(folder).write("timings.json", json.dumps(_timings(folder) | {part: time.monotonic() - began}))


def _timings(folder: Path) -> dict[str, float]:
    with suppress(FileNotFoundError):
        return _read_json(folder / "timings.json")
    return {}


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises FileNotFoundError, also of a damaged file, which it deletes."""
    return read_cached(path, lambda path: dict(json.loads(path.read_text())))
