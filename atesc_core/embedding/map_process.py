"""The process that computes maps. It starts with the first map, is used for the next ones, and ends when idle.

UMAP takes tens of seconds to import and to compile, so the process stays and waits for further requests.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from pathlib import Path

from atesc_core.embedding.map_folder import MapFolder
from atesc_core.jobs.messages import Result
from atesc_core.jobs.process import ModuleProcess

MODULE = "atesc_core.embedding"
IDLE_S = 60.0  # how long it waits for the next request


class MapProcess:
    """The map process of this server, if there is one. One caller at a time may ``complete`` a map."""

    def __init__(self) -> None:
        self._process: ModuleProcess | None = None
        self._numba_cache: Path | None = None
        self._idle: threading.Timer | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Its process id; None if it is not running."""
        process = self._process
        return process.pid if process is not None and process.running else None

    def complete(
        self,
        folder: MapFolder,
        numba_cache: Path,
        report: Callable[[float, str, float | None], None],
        stop: threading.Event,
    ) -> None:
        """Fit the map and place all requested batches, unless that is done already.

        Args:
            folder: The map's folder, with its settings and features.
            numba_cache: Folder for UMAP's compiled code.
            report: Called with the progress; see ``Job.report``.
            stop: Set before ``stop`` is called, so that no process is started after it.

        Raises:
            ProcessError: The process failed, or was stopped.
        """
        process = self._take(numba_cache)
        if stop.is_set():
            self.stop()
        try:
            process.send(str(folder.path.resolve()))
        except OSError:  # it has just ended
            process.check_exit()
            raise
        for message in process.messages():
            if isinstance(message, Result):
                self._release(process)
                return
            report(message.share, message.message, message.expected_s)
        process.check_exit()

    def stop(self) -> None:
        """End the process. Its finished results stay on disk."""
        with self._lock:
            self._stop()

    def _take(self, numba_cache: Path) -> ModuleProcess:
        """A running process whose idle timer is off."""
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            process = self._process
            if process is None or not process.running or self._numba_cache != numba_cache:
                self._stop()
                numba_cache.mkdir(parents=True, exist_ok=True)
                environment = {"NUMBA_CACHE_DIR": str(numba_cache.resolve())}
                process = ModuleProcess(MODULE, environment=environment, accepts_requests=True)
                self._process, self._numba_cache = process, numba_cache
            return process

    def _release(self, process: ModuleProcess) -> None:
        with self._lock:
            if self._process is process:
                self._idle = threading.Timer(IDLE_S, self._stop_idle, (process,))
                self._idle.daemon = True
                self._idle.start()

    def _stop_idle(self, process: ModuleProcess) -> None:
        with self._lock:
            if self._process is process and self._idle is threading.current_thread():
                self._stop()

    def _stop(self) -> None:
        if self._process is not None and self._process.running:
            self._process.kill()
        self._process = None


MAP_PROCESS = MapProcess()
atexit.register(MAP_PROCESS.stop)
