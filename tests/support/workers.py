"""Worker processes of a test: found, and ended with it."""

from __future__ import annotations

import psutil
import pytest

from tests.support.waiting import until


@pytest.fixture
def no_worker_is_left(store):
    yield
    for process in workers(store):
        process.kill()
    until(lambda: not workers(store))


def workers(store) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if "atesc_core.runs.worker" in line and str(store.runs_dir) in line:
            found.append(process)
    return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]
