"""The app, served from another process with a new runs folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from atesc_core.runs import RunStore

ROOT = Path(__file__).parents[2]
START_S = 180  # limit for a start on a busy machine
STOP_S = 60


class LabServer:
    """A server of a Streamlit script, with its own runs folder. It can be stopped and started again."""

    def __init__(self, script: Path, runs_dir: Path, environment: dict[str, str] | None = None):
        self.script, self.runs_dir, self.environment = script, runs_dir, environment or {}
        self.log = runs_dir.parent / f"{runs_dir.name}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        options = [f"--server.port={self.port}", "--server.headless=true", "--server.fileWatcherType=none"]
        launcher = [] if self.script.name == "app.py" else ["-m", "streamlit", "run"]  # the app serves itself
        command = [sys.executable, *launcher, str(self.script), *options]
        environment = os.environ | {"ATESC_RUNS_DIR": str(self.runs_dir)} | self.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
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
