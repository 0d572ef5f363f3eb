"""The worker processes of a test's lab: find them, and end them after the test."""

from __future__ import annotations

import psutil
import pytest

from tests.support.waiting import until


@pytest.fixture
def no_worker_is_left(store):
    """End all workers of the lab after the test."""
    yield
    for process in workers(store):
        process.kill()
    until(lambda: not workers(store))


def workers(store) -> list[psutil.Process]:
    """The running worker processes of the lab."""
    processes = []
    for process in psutil.process_iter(["cmdline", "status"]):
        arguments = process.info["cmdline"] or []
        if "atesc_core.runs.worker" in arguments and str(store.runs_dir) in arguments:
            processes.append(process)
    return [process for process in processes if process.info["status"] != psutil.STATUS_ZOMBIE]
