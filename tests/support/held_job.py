"""A job without progress, for pages that show a job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class HeldJob:
    """Has the attributes of ``atesc_core.jobs.Job``, but does nothing. It can be stopped."""

    key: str = "held"
    state: str = "running"
    place: int = 0
    share: float = 0.0
    message: str = "Starting"
    eta_s: float | None = None
    error: str = ""
    elapsed_s: float = 0.0

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")

    def wait(self, timeout_s: float) -> bool:
        return False

    def stop(self) -> None:
        self.state = "stopped"
