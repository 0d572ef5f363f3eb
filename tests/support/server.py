"""The app, served from another process with a new runs folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from atesc_core.runs import RunStore

ROOT = Path(__file__).parents[2]
APP = [sys.executable, "app.py"]
START_S = 180  # limit for a start on a busy machine
STOP_S = 60


class LabServer:
    """A server of the app, or of another script, with its own runs folder. It can be stopped and started again.

    ``command`` starts it in ``folder``; ``environment`` is added to that of this process, None removes a variable.
    """

    def __init__(
        self,
        runs_dir: Path,
        command: Sequence[str | Path] = APP,
        folder: Path = ROOT,
        environment: Mapping[str, str | None] | None = None,
    ):
        self.runs_dir, self.command, self.folder = runs_dir, command, folder
        # One run at a time: the browser and the server need the other core.
        changes = {"ATESC_RUNS_DIR": str(runs_dir), "ATESC_CPU_SLOTS": "1"} | dict(environment or {})
        self.environment = {name: value for name, value in (os.environ | changes).items() if value is not None}
        self.log = runs_dir.parent / f"{runs_dir.name}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        options = [f"--server.port={self.port}", "--server.headless=true", "--server.fileWatcherType=none"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *options], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The server did not start:\n{self.log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server. The worker of a run continues, as it does for a user."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Stop the server, and request a stop of every active run."""
        self.stop()
        self.stop_runs()

    def stop_runs(self) -> None:
        store = RunStore(self.runs_dir)
        for run in store.all_runs():
            if run.status in ("queued", "running", "paused"):
                store.stop(run.id)
        store.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
