"""The wheel: what pip installs works from any folder, without the checkout."""

from __future__ import annotations

import json

import pytest

from atesc_core.version import RELEASE


def test_the_command_line_is_installed(installed):
    assert installed.run("atesc", "--version").strip() == RELEASE
    teachers = json.loads(installed.run("atesc", "teachers", "list", "--json"))
    assert {"mnistm-mnist-ntl", "mnistm-mnist-sl"} <= {teacher["name"] for teacher in teachers}


def test_the_installed_core_is_not_the_checkouts(installed):
    where = installed.run("python", "-c", "import atesc_core.paths as p; print(p.IS_CHECKOUT, p.ASSETS.is_dir())")
    assert where.split() == ["False", "True"]


def test_the_app_says_its_options(installed):
    assert "--runs-dir" in installed.run("atesc-lab", "--help")


def test_a_port_that_cannot_be_is_named(installed):
    with pytest.raises(AssertionError, match="argument --port: '99999999': expected a number from 1 to 65535"):
        installed.run("atesc-lab", "--port", "99999999")
