"""A lab with small runs of the real worker, shared by all tests that only read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from atesc_core.runs import DistillationRun, RunStore
from atesc_core.runs.log import RunLog
from atesc_core.runs.worker import work
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from tests.support.batchnorm import save_batchnorm

TEACHER, CONTROL = "mnistm-badnet_sq-ntl", "mnistm-badnet_sq-sl"

STORY = "story-tests"

SMALL = {
    "device": "cpu",
    "epochs": 2,
    "rounds": 4,
    "student_steps": 2,
    "batch_size": 32,
    "snapshot_images": 32,
    "synthesis.steps": 1,
    "synthesis.width": 8,
    "split.steps": 2,
    "split.threshold": "share",
    "escape.warmup_epochs": 1,
}


@dataclass(frozen=True)
class Lab:
    """A runs folder with a finished small story: a plain and an ATEsc student of an NTL teacher, and a plain student
    of the SL teacher."""

    runs_dir: Path
    store: RunStore
    plain: str  # run ids
    atesc: str
    control: str


def tiny_spec(escape: str = "atesc", teacher: str = TEACHER) -> RunSpec:
    """The spec of a whole run that takes a second or two."""
    return from_preset("quick", teacher, **SMALL, **{"escape.kind": escape})


@pytest.fixture(scope="session")
def lab_with_runs(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab that all tests share: do not change it."""
    runs_dir = tmp_path_factory.mktemp("lab")
    store = RunStore(runs_dir)
    specs = tiny_spec("none"), tiny_spec("atesc"), tiny_spec("none", CONTROL)
    runs = [store.create(spec, group=STORY) for spec in specs]
    work(runs_dir, "cpu")
    save_batchnorm(runs_dir, TEACHER, CONTROL)
    return Lab(runs_dir, store, *runs)


@pytest.fixture
def finished_run(lab_with_runs: Lab, monkeypatch: pytest.MonkeyPatch) -> DistillationRun:
    """The ATEsc run of `lab_with_runs`; the app uses this lab during the test."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(lab_with_runs.runs_dir))
    return lab_with_runs.store.get(lab_with_runs.atesc)


def logged_run(
    store: RunStore,
    *points: tuple[float, float],
    metric: str = "asr",
    status: str = "done",
    escape: str = "atesc",
    teacher: str = TEACHER,
    recalls: tuple[float, ...] = (),
    **changes,
) -> str:
    """Create a run with the log of a worker; return its id.

    ``points``: (IAcc, OOD metric) of epochs 1, 2, ...; ``recalls``: of each class, the same at each epoch.
    """
    costs = {"worst_recall": min(recalls), "trap_recall": recalls[0]} if recalls else {}
    run_id = store.create(tiny_spec(escape, teacher).replaced(changes))
    log = RunLog(store, store.get(run_id))
    for epoch, (iacc, ood) in enumerate(points, 1):
        for round_number in (1, 2):
            log.write_round(epoch, round_number, 10 * epoch, {"s/total": round_number * 1.0, "g/bn": -1.0}, None, None)
        log.write_epoch(epoch, 10 * epoch, {"iacc": iacc, metric: ood} | costs, recalls, 0 if recalls else None)
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = ? WHERE id = ?", (status, run_id))
    return run_id


def archive_of(size: int) -> bytes:
    """``size`` bytes with an archive's end, so that as a snapshot they do not count as cut short; at least 22."""
    return (b"PK\x05\x06" + bytes(18)).rjust(size, b"\0")
