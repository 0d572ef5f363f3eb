"""The workers of a test's runs: a worker in a thread, and the worker processes, which are ended after the test."""

from __future__ import annotations

import threading

import psutil
import pytest

from atesc_core.runs import RunStore
from atesc_core.runs.session import Events
from atesc_core.runs.worker import work
from tests.support.tiny_runs import ScriptedRun
from tests.support.waiting import until


class WorkerThread:
    """Workers in threads, for the store's runs."""

    def __init__(self, store: RunStore, events: Events):
        self.store, self.events, self.leaving = store, events, threading.Event()
        self.threads: list[threading.Thread] = []

    @property
    def thread(self) -> threading.Thread:
        """The worker that was started last."""
        return self.threads[-1]

    def start(self, stay: bool = False) -> None:
        self.leaving.clear()
        self.threads.append(
            threading.Thread(
                target=work, args=(self.store.runs_dir, "cpu", self.events, self.leaving, stay), daemon=True
            )
        )
        self.thread.start()

    def end(self) -> None:
        self.leaving.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait(self, run_id: str, status: str) -> None:
        def there() -> bool:
            run = self.store.get(run_id)
            assert run.status != "failed" or status == "failed", run.error
            return run.status == status

        until(there)

    def kinds(self, run_id: str) -> list[str]:
        return list(self.store.history(run_id)["kind"])


class ScriptedWorker(WorkerThread):
    """A worker whose runs go round by round, as the test lets them."""

    def __init__(self, store: RunStore):
        self.script = ScriptedRun()
        super().__init__(store, self.script)

    def end(self) -> None:
        self.script.set_free()
        super().end()

    def leave_after_a_round(self, run_id: str) -> None:
        """A worker that had not yet looked whether to leave after the round before left without this one."""
        until(lambda: self.script.waiting)
        self.leaving.set()
        self.script.let(run_id, 1)
        self.thread.join(60)

    def at(self, run_id: str, epoch: int, number: int) -> None:
        """Let the run go to this round, wait until it is logged."""
        run = self.store.get(run_id)
        done = max(0, (run.epoch - 1) * run.rounds + run.round)
        self.script.let(run_id, (epoch - 1) * run.rounds + number - done)
        self.logged(run_id, epoch, number)

    def logged(self, run_id: str, epoch: int, number: int) -> None:
        def there() -> bool:
            run = self.store.get(run_id)
            return (run.epoch, run.round) == (epoch, number)

        until(there)


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
