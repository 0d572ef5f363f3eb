"""Fixtures that several test folders share. They are defined in the modules of tests/support."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = [
    "tests.support.few_images",
    "tests.support.figure_labs",
    "tests.support.installed",
    "tests.support.labs",
    "tests.support.published_domains",
    "tests.support.recordings",
    "tests.support.reports",
    "tests.support.workers",
]


@pytest.fixture(scope="session", autouse=True)
def no_runs_in_the_users_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that names no runs folder gets an empty one, never that of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATESC_RUNS_DIR", str(tmp_path_factory.mktemp("runs of nobody")))
        yield


@pytest.fixture
def weights_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are read in the test's own process: a second faster. Those of test_conversion.py start another."""

    from atesc_core.teachers import conversion  # PyTorch, which few tests need

    def convert_here(source: Path, target: Path, name: str | None = None) -> None:
        conversion.convert(source, target, name or source.name)

    monkeypatch.setattr("atesc_core.teachers.staging.convert_file", convert_here)
