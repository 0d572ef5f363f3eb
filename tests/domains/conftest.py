from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.published_domains import published  # noqa: F401 - a fixture


@pytest.fixture(scope="package", autouse=True)
def nothing_in_the_users_data_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATESC_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def data_folder(tmp_path, monkeypatch) -> Path:
    """An empty data folder of this test's own."""
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
