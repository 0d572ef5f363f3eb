"""The lab with runs, without what other tests have computed of its students."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atesc_core.runs import RunStore
from tests.support.copies import copy_lab
from tests.support.labs import Lab


@pytest.fixture(scope="session")
def lab_with_runs(lab_with_runs: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A copy, as pages fill the cache of the one that all tests share."""
    runs_dir = copy_lab(lab_with_runs.runs_dir, tmp_path_factory.mktemp("students") / "lab", "cache")
    return replace(lab_with_runs, runs_dir=runs_dir, store=RunStore(runs_dir))
