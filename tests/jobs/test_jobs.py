"""Jobs in processes and in threads: progress, stop, failure, one a key, and so many at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from atesc_core import jobs
from atesc_core.jobs import Job, JobService, ProcessJob, ThreadJob
from tests.support.waiting import until

WORKER = "tests.support.background_worker"


@pytest.fixture
def service() -> Iterator[JobService]:
    """One process and two threads at a time; none outlives its test."""
    service = JobService({"long": 1, "short": 2})
    yield service
    for job in service.active():
        job.stop()
        job.wait(60)


def ended(job: Job) -> Job:
    assert job.wait(60)
    return job


def wait_for(job: Job, share: float) -> None:
    """Until the job has reported this share."""
    until(lambda: job.share >= share or not job.active)


def test_a_job_tells_how_far_it_is_and_ends(service):
    job = ended(service.start("job", WORKER, "work"))
    assert (job.state, job.share, job.message, job.error) == ("done", 1, "done", "")


def test_a_job_can_be_stopped(service):
    job = service.start("job", WORKER, "hang")
    wait_for(job, 0.5)
    assert (job.state, job.share, job.message) == ("running", 0.5, "hanging")
    assert job.eta_s is not None
    job.stop()
    assert ended(job).state == "stopped"
    assert job.error == ""


def test_a_job_that_fails_says_why(service, caplog):
    with caplog.at_level(logging.WARNING):
        job = ended(service.start("job", WORKER, "fail"))
    assert (job.state, job.error) == ("failed", "ValueError: no such thing")
    assert "Traceback" in caplog.text  # for whoever runs the lab
    job.stop()
    assert job.state == "failed", "what has ended is not stopped"


def test_a_small_result_comes_with_the_job(service):
    job = ended(service.start("job", WORKER, "result"))
    assert isinstance(job, ProcessJob)
    assert job.result == {"cores": 2}


def test_output_that_is_no_message_is_passed_over(service):
    """Bytes that are no UTF-8, and a share that is no number, ended the job while its process went on."""
    job = ended(service.start("job", WORKER, "garbage"))
    assert (job.state, job.error, job.share) == ("done", "", 1)


def test_one_job_a_key():
    assert jobs.find("a key of this test") is None
    job = jobs.start("a key of this test", WORKER, "hang")
    assert jobs.start("a key of this test", WORKER, "hang") is job
    assert jobs.find("a key of this test") is job
    job.stop()
    ended(job)
    again = jobs.start("a key of this test", WORKER, "work")
    assert again is not job
    assert ended(again).state == "done"


def test_further_jobs_wait_in_order(service):
    first, second, third, fourth = (service.start(f"job {n}", WORKER, "hang") for n in range(4))
    assert [job.state for job in (first, second, third, fourth)] == ["running", "queued", "queued", "queued"]
    assert [job.queue_position for job in (first, second, third, fourth)] == [0, 1, 2, 3]
    second.stop()
    assert second.wait(0)
    assert second.state == "stopped"
    assert (third.queue_position, fourth.queue_position) == (1, 2)
    first.stop()
    until(lambda: third.state == "running")
    assert (third.queue_position, fourth.state, fourth.queue_position) == (0, "queued", 1)
    assert service.start("job 3", WORKER, "hang") is fourth
    assert service.start_thread("a thread", lambda job: 1).state != "queued"  # another queue


def test_only_so_many_wait(monkeypatch):
    """A visitor could fill the line with attacks on an image, each with another ε, before everybody's work."""
    monkeypatch.setattr("atesc_core.jobs.service.MAX_WAITING", 2)
    service = JobService({"short": 0})
    first, second, third = (service.start_thread(name, lambda job: 1) for name in ("a", "b", "c"))
    assert (first.state, second.state, third.state) == ("queued", "queued", "failed")
    assert third.error == "2 jobs of this kind wait already; try again when some are done"
    first.stop()
    assert service.start_thread("c", lambda job: 1).state == "queued"


def test_a_thread_gives_its_value_or_its_error(service):
    job = service.start_thread("value", lambda job: 6 * 7)
    ended(job)
    assert job.result() == 42

    def fail(job: ThreadJob[int]) -> int:
        raise KeyError("figure")

    failing = service.start_thread("error", fail)
    assert ended(failing).state == "failed"
    with pytest.raises(KeyError, match="figure"):
        failing.result()


def test_a_stopped_thread_keeps_its_slot_until_it_has_ended(service):
    may_end = threading.Event()
    busy = [service.start_thread(f"busy {n}", lambda job: may_end.wait(60)) for n in range(2)]
    busy[0].stop()
    assert ended(busy[0]).state == "stopped"
    with pytest.raises(RuntimeError, match="stopped; expected done"):
        busy[0].result()
    again = service.start_thread("busy 0", lambda job: True)
    assert again.state == "queued"
    may_end.set()
    assert ended(again).state == "done"


def test_a_thread_that_ends_because_it_was_asked_to_is_not_done(service):
    """If it returned before the stop was noted, its job was done, with half of the work as its result."""
    job = service.start_thread(
        "work", lambda job: job.stop_requested.wait(30) and "half", on_stop=lambda: until(lambda: not job.active)
    )
    until(lambda: job.state == "running")
    job.stop()
    assert job.state == "stopped"
    with pytest.raises(RuntimeError, match="stopped; expected done"):
        job.result()


def test_what_ended_long_ago_is_forgotten(service, monkeypatch):
    monkeypatch.setattr("atesc_core.jobs.service.ENDED_JOBS", 2)
    for n in range(5):
        ended(service.start_thread(f"job {n}", lambda job: None))
    until(lambda: service.find("job 2") is None)
    assert service.find("job 4") is not None


def test_work_that_cannot_report_goes_by_the_expected_time(service, monkeypatch):
    may_end, now = threading.Event(), 100.0
    monkeypatch.setattr("atesc_core.jobs.job.time", SimpleNamespace(monotonic=lambda: now))
    job = service.start_thread("job", lambda job: may_end.wait(60))
    job.report(0, "Fitting", expected_s=20.0)
    now = 105.0
    assert (job.share, job.eta_s) == (0.25, 15.0)
    now = 500.0
    assert (job.share, job.eta_s) == (0.95, None)
    may_end.set()
