from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from atesc_core.runs import RunStore, launcher
from atesc_core.specs.run import RunSpec
from tests.support.tiny_runs import TINY


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Workers compute on tiny tensors here: a second thread would only wait for the first."""
    monkeypatch.setenv("ATESC_CPU_SLOTS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def store(tmp_path: Path):
    store = RunStore(tmp_path / "runs here")
    yield store
    store.close()


@pytest.fixture
def spec() -> RunSpec:
    return TINY


@pytest.fixture
def processes(monkeypatch):
    """Worker processes started so far: none of them comes to its lock."""
    started = []

    def spawn(runs_dir, requested):
        started.append(requested)
        return SimpleNamespace(pid=psutil.Process().pid)

    monkeypatch.setattr(launcher, "_spawn", spawn)
    monkeypatch.setattr(launcher, "RETRY_S", 0)
    return started
