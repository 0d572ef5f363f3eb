from __future__ import annotations

from pathlib import Path

import pytest

from atesc_core.runs import RunStore
from atesc_core.spec import RunSpec


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Workers compute on tiny tensors here: a second thread would only wait for the first."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def store(tmp_path: Path):
    store = RunStore(tmp_path / "runs here")
    yield store
    store.close()


@pytest.fixture
def spec() -> RunSpec:
    """Two epochs of three rounds, on the CPU, with a threshold that needs no calibration."""
    return RunSpec(teacher="tiny", device="cpu", epochs=2, rounds=3, student_steps=2, batch_size=16,
                   snapshot_images=16).replaced({"split.threshold": 4.0, "synthesis.width": 8})
