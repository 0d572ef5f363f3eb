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


def test_the_server_starts_where_no_worker_can(spawned, monkeypatch, capsys):
    def refuse(runs_dir):
        raise StoreError("the disk is full")

    monkeypatch.setattr("pages.shared.server.ensure_worker", refuse)
    start_server()
    assert "warning: the disk is full" in capsys.readouterr().err
