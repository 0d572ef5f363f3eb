"""The lab with runs, once for all tests of students."""

from tests.pages.conftest import lab_with_runs  # noqa: F401 - fixture
