"""A job in a process of its own, driven by small modules that the test writes."""

from __future__ import annotations

import threading

import pytest

from atesc_core.jobs import process
from atesc_core.jobs.process import Job

WORKER = "tests.support.background_worker"


def ended(job: Job) -> Job:
    job.wait(60)
    return job


def wait_for(job: Job, share: float) -> None:
    """Until the job has told of this share."""
    reached = threading.Event()
    while job.share < share and job.state == "running":
        reached.wait(0.01)


def test_a_job_tells_how_far_it_is_and_ends():
    job = ended(Job(WORKER, ["work"]))
    assert job.state == "done"


def test_a_job_can_be_stopped():
    job = Job(WORKER, ["hang"])
    wait_for(job, 0.5)
    assert (job.state, job.share, job.what) == ("running", 0.5, "hanging")
    assert job.eta_s is not None
    job.stop()
    assert ended(job).state == "stopped"


def test_a_job_that_fails_says_why():
    job = ended(Job(WORKER, ["fail"]))
    assert (job.state, job.error) == ("failed", "ValueError: no such thing")


def test_one_job_a_key():
    assert process.find("a key of this test") is None
    job = process.start("a key of this test", WORKER, "hang")
    assert process.start("a key of this test", WORKER, "hang") is job
    assert process.find("a key of this test") is job
    job.stop()
    ended(job)
    again = process.start("a key of this test", WORKER, "work")
    assert again is not job
    assert ended(again).state == "done"


@pytest.fixture(autouse=True)
def no_job_outlives_its_test():
    yield
    for job in process._jobs.values():
        if job.state == "running":
            job.stop()
