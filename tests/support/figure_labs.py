"""A lab with two-epoch runs of a tiny teacher, for tests of figures and their export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from atesc_core.figures.export import browser
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from atesc_core.specs.run import RunSpec
from tests.support.tiny_runs import save_tiny_teacher

TWO_EPOCHS = RunSpec(
    teacher="tiny", device="cpu", epochs=2, rounds=3, student_steps=2, batch_size=16, snapshot_images=16
).replaced({"split.threshold": 4.0, "split.steps": 2, "synthesis.width": 8})


@dataclass(frozen=True)
class FiguresLab:
    """Runs of the real worker: an ATEsc student and a plain student; and a third run that still waits."""

    runs_dir: Path
    store: RunStore
    atesc: str  # run ids
    plain: str
    waiting: str


@pytest.fixture(scope="session")
def figures_lab(tmp_path_factory: pytest.TempPathFactory) -> FiguresLab:
    """A lab that all tests share: do not change it."""
    runs_dir = tmp_path_factory.mktemp("figures lab")
    save_tiny_teacher(runs_dir)
    store = RunStore(runs_dir)
    atesc, plain = store.create(TWO_EPOCHS), store.create(TWO_EPOCHS.replaced({"escape.kind": "none"}))
    work(runs_dir, "cpu")
    return FiguresLab(runs_dir, store, atesc, plain, store.create(TWO_EPOCHS))


@pytest.fixture(scope="session", autouse=True)
def close_browser_at_end():
    """Close the drawing browser at the end of the session."""
    yield
    browser.close_browser()


def drawing_browsers() -> list[psutil.Process]:
    """Processes of the browser that draws figures. Browser tests of pages may have started another one."""
    return browser._browser._processes()
