"""The UMAP of real ID and OOD images, asked for by a page and made by a process of its own.

A map lives in a folder named by the hash of its features and settings, so every visitor and every restart
finds it again. In the folder: the features, the fitted model, the coordinates, requests for further
features and the answers, each written under another name first; and ``status.json``, which says who works.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import psutil
from filelock import FileLock
from numpy.typing import ArrayLike

from atesc_core.embedding.features import Coordinates, checked, content_hash
from atesc_core.paths import IMPORT_ROOT

State = Literal["absent", "queued", "running", "done", "failed"]
LINGER_S = 60.0  # how long the process waits for the next epoch before it ends
NEIGHBOURS, MIN_DISTANCE = 15, 0.1  # umap-learn's own defaults


@dataclass(frozen=True)
class Status:
    """How far a map is. ``share``: 0..1, by the time it took before; ``eta_s``: None where that is not known."""

    state: State
    message: str
    share: float | None = None
    eta_s: float | None = None


class ReferenceMap:
    """A still map: fitted once on real ID and OOD features, then asked where other features lie.

    Making one computes nothing. ``fit`` and ``transform`` ask for work and return at once; ask again, or
    look at ``status``, until there is an answer. Same features and seed, same map.
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
    ):
        """``id_features``, ``ood_features``: (N, F), (M, F). Raises ValueError for unusable features."""
        self.id = checked(id_features, "ID features")
        self.ood = checked(ood_features, "OOD features", self.id.shape[1])
        images = len(self.id) + len(self.ood)
        if images < 10:
            raise ValueError(f"features: {images} images; expected at least 10 for a map")
        self.settings = {"neighbours": min(neighbours, images - 1), "min_distance": min_distance, "seed": seed}
        self.cache_dir = Path(cache_dir)
        self.key = content_hash(self.id, self.ood, umap=version("umap-learn"), **self.settings)
        self.folder = Folder(self.cache_dir / "embedding" / self.key)

    @classmethod
    def fit(
        cls, id_features: ArrayLike, ood_features: ArrayLike, cache_dir: Path | str, **settings: Any
    ) -> ReferenceMap:
        """The map of these features, its fitting asked for."""
        asked = cls(id_features, ood_features, cache_dir, **settings)
        asked.start()
        return asked

    def start(self) -> None:
        """Ask for the map. Nothing happens where it is there, on its way, or has failed (see ``retry``)."""
        if self.coordinates() is None:
            self._commission()

    def retry(self) -> None:
        """Forget a failure and ask anew. What was made before it is kept."""
        with self.folder.lock():
            if not self.folder.alive():
                self.folder.tell(Told())
        self._commission()

    def stop(self) -> None:
        """End the process that works on the map. What it finished is kept; ``start`` takes it up again."""
        with self.folder.lock():
            if self.folder.alive():
                process = psutil.Process(self.folder.told().pid)
                process.kill()
                process.wait(10)
            self.folder.tell(Told())

    def coordinates(self) -> tuple[Coordinates, Coordinates] | None:
        """Where ID and OOD lie, (N, 2) and (M, 2); None while that is not known."""
        found = self.folder.read("reference.xy.npy")
        return None if found is None else (found[: len(self.id)], found[len(self.id) :])

    def transform(self, features: ArrayLike) -> Coordinates | None:
        """Where other features lie, (N, F) -> (N, 2); None while that is not known: ask again.

        UMAP places a batch as a whole, so give a batch (an epoch's snapshot) always complete.
        """
        asked = checked(features, "features", self.id.shape[1])
        if not len(asked):
            return np.empty((0, 2), np.float32)
        name = content_hash(asked)
        found = self.folder.read(f"placed/{name}.npy")
        if found is None:
            if not self.folder.has(f"asked/{name}.npy"):
                self.folder.write(f"asked/{name}.npy", asked)
            self._commission()
        return found

    def status(self, features: ArrayLike | None = None) -> Status:
        """How far the map is, or, with ``features``, how far their placing is."""
        name = None if features is None else content_hash(checked(features, "features", self.id.shape[1]))
        if self.folder.has(f"placed/{name}.npy" if name else "reference.xy.npy"):
            return Status("done", "Ready", 1.0, 0.0)
        told = self.folder.told()
        if told.state in ("queued", "running") and not self.folder.alive():
            return Status("failed", f"The process that made the map ended early. {self.folder.last_words()}")
        if told.state == "done":  # with the map; these features are another matter
            waiting = self.folder.has(f"asked/{name}.npy")
            return Status("queued", "Starting") if waiting else Status("absent", "Not asked for yet")
        return told.seen(time.time())

    def wait(self, features: ArrayLike | None = None, timeout_s: float = 300.0) -> Status:
        """Block until there is an answer, for a script or a test. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while (status := self.status(features)).state in ("queued", "running"):
            if time.monotonic() > end:
                raise TimeoutError(f"embedding: {status.message}, after {timeout_s:g} s")
            time.sleep(0.1)
        return status

    def _commission(self) -> None:
        """See to it that a process works on the folder, exactly one."""
        with self.folder.lock():
            if self.folder.alive() or self.folder.told().state == "failed":
                return
            if self.folder.told().state in ("queued", "running"):
                self.folder.tell(Told("failed", "The process that made the map ended early"))
                return
            if not self.folder.has("job.json"):
                self.folder.write("reference.npy", np.concatenate([self.id, self.ood]))
                self.folder.write("job.json", json.dumps(self.settings))
            process = _launch(self.folder.path, self.cache_dir / "numba")
            self.folder.tell(
                Told(
                    "queued",
                    "Starting",
                    pid=process.pid,
                    born=psutil.Process(process.pid).create_time(),
                    since=time.time(),
                )
            )


def _launch(job: Path, numba_cache: Path) -> subprocess.Popen:
    numba_cache.mkdir(parents=True, exist_ok=True)
    with (job / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "atesc_core.embedding", "--job", str(job.resolve())],
            cwd=IMPORT_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(numba_cache.resolve())},
        )


@dataclass(frozen=True)
class Told:
    """What the process says of itself. Times are Unix seconds; ``expected_s``: how long it thinks to take."""

    state: State = "absent"
    message: str = "Not asked for yet"
    pid: int | None = None
    born: float | None = None
    since: float | None = None
    expected_s: float | None = None

    def seen(self, now: float) -> Status:
        if self.state != "running" or not self.expected_s:
            return Status(self.state, self.message)
        took = now - self.since
        left = self.expected_s - took
        return Status("running", self.message, min(max(took / self.expected_s, 0.0), 0.95), left if left > 0 else None)


class Folder:
    """A map's folder, as both sides use it."""

    def __init__(self, path: Path):
        self.path = path

    def lock(self) -> FileLock:
        """Held while deciding who works; beside the folder, so that it outlives its removal."""
        self.path.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"), timeout=30)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> np.ndarray | None:
        try:
            return np.load(self.path / name, allow_pickle=False)
        except FileNotFoundError:
            return None

    def write(self, name: str, content: np.ndarray | str | bytes) -> None:
        """All of it or nothing: a reader never meets half a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}-{time.monotonic_ns()}")
        with partial.open("wb") as file:
            _put(file, content)
        partial.replace(path)

    def asked(self) -> list[Path]:
        """Features that wait to be placed, oldest first."""
        waiting = [path for path in (self.path / "asked").glob("*.npy") if not path.name.startswith(".")]
        return sorted(waiting, key=lambda path: path.stat().st_mtime_ns)

    def tell(self, told: Told) -> None:
        self.write("status.json", json.dumps(asdict(told)))

    def told(self) -> Told:
        try:
            return Told(**json.loads((self.path / "status.json").read_text()))
        except FileNotFoundError:
            return Told()

    def alive(self) -> bool:
        """Whether the process that last spoke still runs; a number given to another process does not count."""
        told = self.told()
        if told.pid is None:
            return False
        try:
            process = psutil.Process(told.pid)
            return abs(process.create_time() - told.born) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def last_words(self) -> str:
        """The last line of the process's log."""
        try:
            lines = (self.path / "log.txt").read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1][:300] if lines else ""


def _put(file: IO[bytes], content: np.ndarray | str | bytes) -> None:
    if isinstance(content, np.ndarray):
        np.save(file, content, allow_pickle=False)
    else:
        file.write(content.encode() if isinstance(content, str) else content)
