"""The jobs of this process: one job per key, and a limited number at once in each queue."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from atesc_core.jobs.job import Job
from atesc_core.jobs.process import ProcessJob
from atesc_core.jobs.thread import ThreadJob

Queue = Literal["long", "short", "network", "map", "upload"]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# How many jobs of a queue run at once. With several queues, work of seconds does not wait for work of
# minutes, and a download waits for neither. Two UMAPs at a time would each take twice as long. Measuring an uploaded
# teacher takes all cores and hundreds of MB: one visitor's file after the other's.
LIMITS: dict[Queue, int] = {
    "long": max(1, CORES // 2),
    "short": max(2, CORES // 2),
    "network": 4,
    "map": 1,
    "upload": 1,
}
MAX_WAITING = 32  # jobs of a queue; whoever starts one more is refused
ENDED_JOBS = 64  # per queue, that ``find`` returns; older ones are forgotten

Value = TypeVar("Value")
AnyJob = TypeVar("AnyJob", bound=Job)


class JobService:
    """Starts jobs, in order and within the limits, and finds them again by their key.

    Args:
        limits: How many jobs of each queue may run at once.
    """

    def __init__(self, limits: dict[Queue, int] | None = None) -> None:
        self._limits = LIMITS if limits is None else limits
        self._jobs: dict[Queue, dict[str, Job]] = {queue: {} for queue in self._limits}  # oldest first
        self._leaving: dict[Queue, list[Job]] = {
            queue: [] for queue in self._limits
        }  # replaced by a new job, but not ended yet
        self._lock = threading.RLock()

    def find(self, key: str) -> Job | None:
        """The last job of this key, active or ended; None if there is none."""
        with self._lock:
            return next((jobs[key] for jobs in self._jobs.values() if key in jobs), None)

    def submit(self, job: AnyJob, queue: Queue) -> AnyJob:
        """Start the job, or queue it. Its key must have no active job."""
        with self._lock:
            if (replaced := self._jobs[queue].pop(job.key, None)) is not None and replaced.occupies_slot:
                self._leaving[queue].append(replaced)
            waiting = sum(other.state == "queued" for other in self._jobs[queue].values())
            self._jobs[queue][job.key] = job
            if waiting >= MAX_WAITING:
                job.refuse(f"{waiting} jobs of this kind wait already; try again when some are done")
                return job
            job.on_change = lambda: self._advance(queue)
        self._advance(queue)
        return job

    def start(self, key: str, module: str, *arguments: str, queue: Queue = "long") -> ProcessJob:
        """See ``start`` of this module."""
        with self._lock:
            job = self.find(key)
            if isinstance(job, ProcessJob) and job.active:
                return job
            return self.submit(ProcessJob(key, module, *arguments), queue)

    def start_thread(
        self,
        key: str,
        function: Callable[[ThreadJob[Value]], Value],
        *,
        on_stop: Callable[[], object] = lambda: None,
        queue: Queue = "short",
    ) -> ThreadJob[Value]:
        """See ``start_thread`` of this module."""
        with self._lock:
            job = self.find(key)
            if isinstance(job, ThreadJob) and job.active:
                return job
            return self.submit(ThreadJob(key, function, on_stop), queue)

    def active(self) -> list[Job]:
        """All jobs that are queued or running."""
        with self._lock:
            return [job for jobs in self._jobs.values() for job in jobs.values() if job.active]

    def _advance(self, queue: Queue) -> None:
        """Start jobs while there are free slots, number the waiting ones, forget the oldest ended ones."""
        with self._lock:
            jobs = self._jobs[queue]
            self._leaving[queue] = [job for job in self._leaving[queue] if job.occupies_slot]
            occupied = sum(job.occupies_slot for job in jobs.values()) + len(self._leaving[queue])
            waiting = [job for job in jobs.values() if job.state == "queued"]
            free = max(self._limits[queue] - occupied, 0)
            for position, job in enumerate(waiting[free:], start=1):
                job.queue_position = position
            for job in waiting[:free]:
                job.queue_position = 0
                job.begin()
            ended = [key for key, job in jobs.items() if not job.active and not job.occupies_slot]
            for key in ended[:-ENDED_JOBS]:
                del jobs[key]


_service = JobService()


def start(key: str, module: str, *arguments: str, queue: Queue = "long") -> ProcessJob:
    """Run ``python -m MODULE ARGUMENTS`` as the job of this key; if one is active, return it.

    Args:
        key: The name of the work; the same work always has the same key.
        module: A module that reports with ``report_progress`` and writes its result to a file that the caller knows.
        arguments: The command line of the module.
        queue: ``long`` for minutes of computing, ``short`` for seconds while a user waits, ``network`` for
            downloads, ``map`` for UMAP, ``upload`` for files of teachers.
    """
    return _service.start(key, module, *arguments, queue=queue)


def start_thread(
    key: str,
    function: Callable[[ThreadJob[Value]], Value],
    *,
    on_stop: Callable[[], object] = lambda: None,
    queue: Queue = "short",
) -> ThreadJob[Value]:
    """Run ``function(job)`` in a thread as the job of this key; if one is active, return it.

    For work that itself waits for another process, such as a browser, or whose result must stay in this one. For other
    work use ``start``. See ``ThreadJob``.
    """
    return _service.start_thread(key, function, on_stop=on_stop, queue=queue)


def active() -> list[Job]:
    """All jobs that are queued or running."""
    return _service.active()


def find(key: str) -> Job | None:
    """The last job of this key, active or ended; None if there is none or it ended long ago."""
    return _service.find(key)
