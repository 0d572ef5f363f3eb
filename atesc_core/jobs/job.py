"""A job: work in the background with a state, a progress and an end."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

State = Literal["queued", "running", "done", "stopped", "failed"]
ALMOST_DONE = 0.95  # share shown while work takes longer than expected

logger = logging.getLogger(__name__)


class Job(ABC):
    """Work in the background. Any thread may read it, stop it and wait for it.

    Attributes:
        key: The name of the work. At most one job of a key is queued or running.
        state: ``queued`` until the service starts it, then ``running``; at last ``done``, ``stopped`` or ``failed``.
        queue_position: Its position among the queued jobs, from 1; 0 once it has started.
        message: A text that says what it is doing.
        error: Why it failed, in one line; empty if it did not fail.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.state: State = "queued"
        self.queue_position = 0
        self.message = "Starting"
        self.error = ""
        self.stop_requested = threading.Event()
        self.occupies_slot = False  # also after a stop, until the work has really ended
        self.on_change: Callable[[], None] = lambda: None  # set by the service, which then starts waiting jobs
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._began: float | None = None  # monotonic time
        self._share = 0.0
        self._expected_s: float | None = None
        self._reported = 0.0  # monotonic time of the last report
        self._first: tuple[float, float] | None = None  # (monotonic time, share) of the first report above 0

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")

    @property
    def share(self) -> float:
        """Part of the work that is done, 0 to 1."""
        if not self._expected_s or self.state != "running":
            return self._share
        return min(max((time.monotonic() - self._reported) / self._expected_s, 0.0), ALMOST_DONE)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began to run; 0 while it is queued."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end; None if unknown."""
        now = time.monotonic()
        if self._expected_s:
            left = self._expected_s - (now - self._reported)
            return left if left > 0 else None
        if self._first is None or self._share <= self._first[1]:
            return None
        began, share = self._first  # the time before it is for imports and does not count
        return (now - began) * (1 - self._share) / (self._share - share)

    def report(self, share: float, message: str, expected_s: float | None = None) -> None:
        """Set how far the work is.

        Args:
            share: Part of the work that is done, 0 to 1.
            message: A text that says what is being done.
            expected_s: Seconds that the work is expected to take from now on. ``share`` and ``eta_s`` then follow the
                clock, for work that cannot report its own progress.
        """
        self._share, self.message = min(max(share, 0.0), 1.0), message
        self._expected_s, self._reported = expected_s, time.monotonic()
        if self._first is None and share > 0:
            self._first = self._reported, share

    def stop(self) -> None:
        """Stop it, whether it is queued or running. Does nothing if it has ended."""
        with self._lock:
            if not self.active:
                return
            self.stop_requested.set()
            queued = self.state == "queued"
        if queued:
            self._end("stopped")
            self.on_change()
        else:
            self._interrupt()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until it has ended, for at most ``timeout_s`` seconds. Returns whether it has ended."""
        return self._ended.wait(timeout_s)

    def begin(self) -> None:
        """Start the work in a thread. Only the service calls this, once there is a free slot."""
        with self._lock:
            if self.state != "queued":
                return
            self.state, self.occupies_slot, self._began = "running", True, time.monotonic()
        threading.Thread(target=self._work, name=f"job {self.key}", daemon=True).start()

    def refuse(self, error: str) -> None:
        """End it as failed, for this reason, without having begun. Only the service calls this."""
        self._end("failed", error)

    @abstractmethod
    def _run(self) -> None:
        """Do the work. May raise any error: the job is then stopped if a stop was requested, else failed."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Make ``_run`` end soon."""

    def _work(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - no error may get lost with this thread
            if not self.stop_requested.is_set():
                logger.warning("Job %s failed", self.key, exc_info=error)
            self._end("stopped" if self.stop_requested.is_set() else "failed", str(error) or type(error).__name__)
        else:  # work that ends because it was asked to is not done
            self._end("stopped" if self.stop_requested.is_set() else "done")
        finally:
            self.occupies_slot = False
            self.on_change()

    def _end(self, state: State, error: str = "") -> None:
        with self._lock:
            if self.active:
                self.state, self.queue_position, self.error = state, 0, error if state == "failed" else ""
        self._release()
        self._ended.set()

    def _release(self) -> None:  # noqa: B027 - nothing to free here
        """Free what an ended job no longer needs: the service remembers jobs long after they have ended."""
