"""Work in the background that takes longer than a page can wait. Every page can watch it and stop it.

``start`` runs a module in a separate process, ``start_thread`` a function in a thread; both return a ``Job`` at once.
``LIMITS`` says how many jobs of a queue run at once; the others wait in order. A run of distillation or of teacher
training is not a job: it has its own worker (``atesc_core.runs``).
"""

from atesc_core.jobs.job import Job, State
from atesc_core.jobs.messages import report_progress, report_result
from atesc_core.jobs.process import ProcessJob
from atesc_core.jobs.service import LIMITS, MAX_WAITING, JobService, Queue, active, find, start, start_thread
from atesc_core.jobs.thread import ThreadJob

__all__ = [
    "LIMITS",
    "MAX_WAITING",
    "Job",
    "JobService",
    "ProcessJob",
    "Queue",
    "State",
    "ThreadJob",
    "active",
    "find",
    "report_progress",
    "report_result",
    "start",
    "start_thread",
]
