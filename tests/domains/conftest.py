from __future__ import annotations

import pytest


@pytest.fixture(scope="package", autouse=True)
def nothing_in_the_users_data_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATESC_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield
