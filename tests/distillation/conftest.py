"""A shipped teacher, loaded once a module."""

from __future__ import annotations

import pytest

from atesc_core.teachers.zoo import load_teacher


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("mnistm-badnet_sq-ntl")
