"""The runs of one group: how far they are, and about how long they still take."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from statistics import fmean

from atesc_core.runs.run import DistillationRun

ENDED = ("done", "stopped", "interrupted", "failed")


@dataclass(frozen=True)
class RunGroup:
    """Runs that were queued together.

    Attributes:
        name: Its name.
        runs: The oldest first.
    """

    name: str
    runs: tuple[DistillationRun, ...]

    @property
    def progress(self) -> float:
        """Mean share of its runs that is done, 0..1."""
        return fmean(run.progress for run in self.runs)

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number of its runs, most frequent first."""
        statuses = [run.status for run in self.runs]
        return {status: statuses.count(status) for status in sorted(set(statuses), key=statuses.count, reverse=True)}

    @property
    def active(self) -> bool:
        """Whether a run of it may change without a request of the user."""
        return any(run.active for run in self.runs)

    @property
    def ended(self) -> bool:
        """Whether no run of it is queued, running or paused."""
        return all(run.status in ENDED for run in self.runs)

    @property
    def eta_s(self) -> float | None:
        """Seconds until its queued and running runs are done, about; None if that is not known yet.

        A waiting run is expected to take as long as those of its kind have taken, or if none is done as one that runs,
        or else as all of the group; as many runs at once as now.
        """
        whole: dict[Hashable, list[float]] = {}
        for run in sorted(self.runs, key=lambda run: run.status != "done"):
            seconds = _whole_run_s(run)
            if seconds is not None and (run.status == "done" or _kind(run) not in whole):
                whole.setdefault(_kind(run), []).append(seconds)
        everything = [seconds for group in whole.values() for seconds in group]
        active = [run for run in self.runs if run.active]
        if not active or not everything:
            return None if active else 0.0
        left = [
            run.eta_s
            if run.status == "running" and run.eta_s is not None
            else (1 - run.progress) * fmean(whole.get(_kind(run), everything))
            for run in active
        ]
        at_once = max(1, sum(run.status == "running" for run in active))
        return max(sum(left) / at_once, max(left))


def _whole_run_s(run: DistillationRun) -> float | None:
    """Seconds that the whole run takes, if it is done, or runs and its time left is known; else None."""
    if run.started is None:
        return None
    if run.status == "done" and run.finished is not None:
        return run.finished - run.started
    if run.status == "running" and run.eta_s is not None and run.progress < 1:
        return run.eta_s / (1 - run.progress)
    return None


def _kind(run: DistillationRun) -> Hashable:
    """What runs that take about as long have in common."""
    spec = run.spec
    return spec.teacher, spec.synthesis.kind, spec.escape.kind, spec.epochs, spec.rounds
