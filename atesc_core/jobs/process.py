"""Python processes that do the work of jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping

from atesc_core.jobs.job import Job
from atesc_core.jobs.messages import Progress, Result, parse
from atesc_core.paths import IMPORT_ROOT


class ProcessError(RuntimeError):
    """The process of a job ended with an error; the message is the last line that it wrote to stderr."""


class ModuleProcess:
    """``python -m MODULE ARGUMENTS``, its messages and its errors.

    Args:
        module: Name of the module, found from the folder that holds ``atesc_core``.
        arguments: The command line of the module.
        environment: Environment variables to add to those of this process.
        accepts_requests: Whether lines can be sent to its stdin.
    """

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None, accepts_requests: bool = False
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open while the process writes
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=IMPORT_ROOT,
            env={**os.environ, **(environment or {})},
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.PIPE if accepts_requests else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write a line to its stdin. Raises OSError if the process has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def messages(self) -> Iterator[Progress | Result]:
        """The messages of the process, until it closes its stdout."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if (message := parse(line)) is not None:
                yield message

    def check_exit(self) -> None:
        """Wait for its end. Raises ProcessError if its exit status is not 0."""
        status = self._process.wait()
        if status:
            lines = self.stderr().splitlines()
            error = ProcessError(lines[-1] if lines else f"it ended with status {status} and no message")
            error.add_note(self.stderr())  # for the log
            raise error

    def stderr(self) -> str:
        """Its whole stderr. Call it after the process has ended: reading moves the position at which it writes."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def terminate(self) -> None:
        """Ask it to end; it may clean up first."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(10)


class ProcessJob(Job):
    """A module in a separate process, which reports with ``report_progress`` and ``report_result``.

    The job is done if the process ends with status 0. A stopped process may clean up; the job is stopped once it ends.
    """

    def __init__(self, key: str, module: str, *arguments: str) -> None:
        super().__init__(key)
        self.result: object = None  # from ``report_result``
        self._module, self._arguments = module, arguments
        self._process: ModuleProcess | None = None
        self._starting = threading.Lock()

    def _run(self) -> None:
        with self._starting:
            if self.stop_requested.is_set():
                raise ProcessError("stopped before it started")
            self._process = process = ModuleProcess(self._module, *self._arguments)
        try:
            for message in process.messages():
                if isinstance(message, Result):
                    self.result = message.value
                else:
                    self.report(message.share, message.message, message.expected_s)
            process.check_exit()
        finally:
            process.kill()  # where reading it failed, it must not go on beside a new one

    def _interrupt(self) -> None:
        with self._starting:
            if self._process is not None:
                self._process.terminate()
