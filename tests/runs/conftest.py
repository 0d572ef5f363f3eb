from __future__ import annotations

from pathlib import Path

import pytest

from atesc_core.runs import RunStore
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
