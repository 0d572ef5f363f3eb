from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def data_folder(tmp_path, monkeypatch) -> Path:
    """An empty data folder of this test's own."""
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
