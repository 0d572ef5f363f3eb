"""Fixtures that several test folders share. They are defined in the modules of tests/support."""

pytest_plugins = [
    "tests.support.figure_labs",
    "tests.support.installed",
    "tests.support.labs",
    "tests.support.published_domains",
    "tests.support.recordings",
    "tests.support.reports",
    "tests.support.workers",
]
