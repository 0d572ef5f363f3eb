"""Small reports on teachers, in the files where the app expects them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atesc_core.domains.loading import load_pair
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.measurement import measure
from atesc_core.teachers.report import Report, report_file
from atesc_core.teachers.zoo import load_teacher
from tests.support.held_job import HeldJob
from tests.support.labs import SMALL, TEACHER, Lab

RUNS_SPLIT = SplitSpec(steps=SMALL["split.steps"])  # settings of the attack in the tests' runs


def save_report(runs_dir: Path, teacher: str = TEACHER, splits: tuple[SplitSpec, ...] = (RUNS_SPLIT,)) -> Report:
    """Measure a report on 40 images of each domain, and save it as the complete report of each split."""
    loaded = load_teacher(teacher, runs_dir)
    data = load_pair(loaded.card.pair, loaded.card.image_side)
    *_, last = measure(loaded, data, splits[0], torch.device("cpu"), images=40, epsilons=(1.0, 4.0, 16.0))
    for split in splits:
        last.report.save(report_file(runs_dir, teacher, split))
    return last.report


@pytest.fixture(scope="session")
def report(lab_with_runs: Lab) -> Report:
    """The report on the NTL teacher, saved in `lab_with_runs`."""
    return save_report(lab_with_runs.runs_dir, splits=(RUNS_SPLIT, SplitSpec()))


@pytest.fixture
def held_job(monkeypatch: pytest.MonkeyPatch) -> HeldJob:
    """A job without progress, which replaces every job."""
    job = HeldJob(share=0.3, message="Scores of ID validation images", eta_s=12.0)
    monkeypatch.setattr("atesc_core.jobs.find", lambda key: job)
    monkeypatch.setattr("atesc_core.jobs.start", lambda *arguments, queue="long": job)
    return job


def numbers(values: Any) -> np.ndarray:
    """An array of a figure's JSON, which is a list or bytes in base64."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.asarray(values)
