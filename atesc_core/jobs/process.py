"""Work of some seconds, in a process of its own: started once, watched by all who ask for it, stopped by any.

The module that does the work prints its progress as JSON lines, {"share": 0..1, "what": "..."}, and leaves
its result where those who wait know to look.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from typing import Literal

from atesc_core.paths import IMPORT_ROOT


class Job:
    """``python -m MODULE ARGUMENTS``, as it goes."""

    def __init__(self, module: str, arguments: list[str]):
        self.share, self.what = 0.0, "Starting"
        self._began = self._first = None  # when the work itself began, and its share then
        self._stopped = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process writes
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=IMPORT_ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        threading.Thread(target=self._listen, name=f"job {module}", daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            told = json.loads(line)
            self.share, self.what = told["share"], told["what"]
            if self._began is None and self.share > 0:  # before that it was importing
                self._began, self._first = time.monotonic(), self.share

    @property
    def state(self) -> Literal["running", "done", "stopped", "failed"]:
        code = self._process.poll()
        if code is None:
            return "running"
        return "done" if code == 0 else "stopped" if self._stopped else "failed"

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end, by the pace so far; None while that is not known."""
        if self._began is None or self.share <= self._first:
            return None
        return (time.monotonic() - self._began) * (1 - self.share) / (self.share - self._first)

    @property
    def error(self) -> str:
        """The last line it wrote to stderr."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode} and said nothing"

    def stop(self) -> None:
        self._stopped = True
        self._process.terminate()

    def wait(self, timeout_s: float | None = None) -> None:
        self._process.wait(timeout_s)


_jobs: dict[str, Job] = {}
_lock = threading.Lock()


def start(key: str, module: str, *arguments: str) -> Job:
    """The job of this key: the one that is going, or else a new one."""
    with _lock:
        if key not in _jobs or _jobs[key].state != "running":
            _jobs[key] = Job(module, list(arguments))
        return _jobs[key]


def find(key: str) -> Job | None:
    """The last job of this key, going or ended."""
    return _jobs.get(key)
