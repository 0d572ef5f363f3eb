"""A run that waits has a worker as soon as the server starts, and from the sidebar's timer, whatever page is open."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest

import app
from atesc_core.errors import StoreError
from atesc_core.runs import RunStore, launcher
from atesc_core.runs.run import Fork
from pages.shared.data.store import run_store
from tests.support.labs import tiny_spec


@pytest.fixture
def spawned(tmp_path, monkeypatch) -> list[str]:
    """The devices for which a worker was started; a run waits in the lab, and its worker has died."""
    started: list[str] = []

    def spawn(runs_dir, requested):
        started.append(requested)
        return SimpleNamespace(pid=psutil.Process().pid)

    monkeypatch.setattr(launcher, "_spawn", spawn)
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    RunStore(tmp_path / "lab").create(tiny_spec())
    return started


def start_server() -> None:
    """Begin and end the server's life, as an ASGI server does."""

    async def live() -> None:
        async with app.app._user_lifespan(app.app):
            pass

    with ThreadPoolExecutor(1) as thread:  # in this one, Playwright's loop may be running
        thread.submit(lambda: asyncio.run(live())).result()


def test_the_server_starts_a_worker_for_a_run_that_waits(spawned):
    """The run stood still until somebody opened a page."""
    start_server()
    assert spawned == ["cpu"]


@pytest.mark.parametrize("page", ["domains", "storage"])
def test_any_page_starts_a_worker_for_a_run_that_waits(spawned, open_page, page):
    assert not open_page(page).exception
    assert spawned == ["cpu"]


def test_whatever_queues_a_run_starts_a_worker_at_once(spawned):
    """Resume, one step and a trial waited for the sidebar's timer."""
    store = run_store()
    (waiting,) = store.all_runs()
    fork = Fork(waiting.id, 0, 9.5)
    for queue in (
        lambda: store.resume(waiting.id),
        lambda: store.step(waiting.id),
        lambda: store.take_turn(waiting.id),
        lambda: store.slow_motion(waiting.id, 1.0),
        lambda: store.fork(fork, until=waiting.spec.epochs),
        lambda: store.create(waiting.spec),
    ):
        for run in store.all_runs(include_forks=True):
            store.stop(run.id)
        with store.database.write() as connection:
            connection.execute("DELETE FROM starting")  # the worker that was started for the run
        spawned.clear()
        queue()
        assert spawned == ["cpu"]


def test_a_run_is_queued_where_no_worker_can_be_started(spawned, monkeypatch):
    def refuse(runs_dir):
        raise StoreError("the disk is full")

    monkeypatch.setattr("pages.shared.data.store.ensure_worker", refuse)
    assert run_store().get(run_store().create(tiny_spec())).status == "queued"


def test_the_server_starts_where_no_worker_can(spawned, monkeypatch, capsys):
    def refuse(runs_dir):
        raise StoreError("the disk is full")

    monkeypatch.setattr("pages.shared.server.ensure_worker", refuse)
    start_server()
    assert "warning: the disk is full" in capsys.readouterr().err
