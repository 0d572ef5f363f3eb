"""The process that makes a map: imports UMAP, fits, places what is asked for, waits a while, ends."""

from __future__ import annotations

import json
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from filelock import FileLock, Timeout

from atesc_core.embedding.reference import LINGER_S, Folder, Told

# Seconds on two cores before anything is compiled; what a machine really takes is kept from the first time on.
FIRST_GUESS = {"import": 20.0, "fit": 25.0, "transform": 5.0}


class Worker:
    def __init__(self, job: Path, linger_s: float = LINGER_S):
        self.folder, self.linger_s = Folder(job), linger_s
        self.timings = Folder(job.parent)
        self.me = {"pid": os.getpid(), "born": psutil.Process().create_time()}
        self.model: Any = None

    def run(self) -> None:
        """Until nothing was asked for during ``linger_s``. A failure is told, with its reason, and ends it."""
        with self.folder.lock():  # whoever started this process writes first
            pass
        try:
            with self._turn():
                self._fit()
            self._serve()
        except Exception as error:
            self.folder.tell(Told("failed", f"{type(error).__name__}: {error}"))
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One map at a time on this machine: two would each take twice as long."""
        turn = FileLock(self.folder.path.parent / "one-at-a-time.lock")
        try:
            turn.acquire(timeout=0)
        except Timeout:
            self.folder.tell(Told("queued", "Waiting for another map", **self.me))
            turn.acquire()
        try:
            yield
        finally:
            turn.release()

    def _fit(self) -> None:
        settings = json.loads((self.folder.path / "job.json").read_text())
        features = self.folder.read("reference.npy")
        known = self.folder.has("model.pkl")
        self._say(f"Starting UMAP for {len(features):,} real images", "import", *([] if known else ["fit"]))
        began = time.monotonic()
        warnings.filterwarnings("ignore", message="n_jobs value")
        import umap

        self._took("import", began)
        if known:
            # Written by this very program into its own cache: not an upload, which is never unpickled.
            self.model = pickle.loads((self.folder.path / "model.pkl").read_bytes())
            return
        self._say(f"Fitting UMAP to {len(features):,} real images", "fit")
        began = time.monotonic()
        # One thread and a seed: the only way in which UMAP gives the same map twice.
        self.model = umap.UMAP(
            n_neighbors=settings["neighbours"],
            min_dist=settings["min_distance"],
            random_state=settings["seed"],
            transform_seed=settings["seed"],
            n_jobs=1,
        ).fit(features)
        self.folder.write("reference.xy.npy", self.model.embedding_.astype(np.float32))
        self.folder.write("model.pkl", pickle.dumps(self.model))
        self._took("fit", began)

    def _serve(self) -> None:
        """Place what is asked for, until nothing has been for a while."""
        idle_since = time.monotonic()
        self._say_idle()
        while True:
            if waiting := self.folder.asked():
                with self._turn():
                    for path in waiting:
                        self._place(path)
                idle_since = time.monotonic()
                self._say_idle()
            elif time.monotonic() - idle_since > self.linger_s:
                with self.folder.lock():  # nobody asks between the last look and the goodbye
                    if not self.folder.asked():
                        self.folder.tell(Told("done", "Ready"))
                        return
            else:
                time.sleep(0.1)

    def _place(self, path: Path) -> None:
        features = np.load(path, allow_pickle=False)
        self._say(f"Placing {len(features):,} images on the map", "transform")
        began = time.monotonic()
        self.folder.write(f"placed/{path.name}", self.model.transform(features).astype(np.float32))
        path.unlink()
        self._took("transform", began)

    def _say(self, message: str, *parts: str) -> None:
        known = FIRST_GUESS | self._timings()
        self.folder.tell(
            Told("running", message, **self.me, since=time.time(), expected_s=sum(known[part] for part in parts))
        )

    def _say_idle(self) -> None:
        self.folder.tell(Told("done", "Ready", **self.me))

    def _took(self, part: str, began: float) -> None:
        self.timings.write("timings.json", json.dumps(self._timings() | {part: time.monotonic() - began}))

    def _timings(self) -> dict[str, float]:
        try:
            return json.loads((self.timings.path / "timings.json").read_text())
        except FileNotFoundError:
            return {}
