"""Which code made a figure: a release, and in a checkout its commit."""

from __future__ import annotations

import subprocess

import pytest

from atesc_core import version
from atesc_core.version import RELEASE, lab_version
from tests.support.commands import run_process

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A lab of this release in a folder of its own."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(version, "IMPORT_ROOT", tmp_path)
    monkeypatch.setattr(version, "RELEASE", "3.2.1")
    lab_version.cache_clear()
    yield tmp_path
    lab_version.cache_clear()


def git(folder, *words: str) -> str:
    return subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_without_git_it_is_the_release(folder):
    assert lab_version() == "3.2.1"


def test_a_checkout_names_its_commit_and_whether_files_were_changed(folder):
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    commit = git(folder, "rev-parse", "--short", "HEAD")
    assert lab_version() == f"3.2.1+{commit}"
    (folder / "pyproject.toml").write_text("[tool]\n")
    lab_version.cache_clear()
    assert lab_version() == f"3.2.1+{commit}.dirty"


def test_a_checkout_that_git_may_not_read_is_the_release(folder):
    (folder / ".git").mkdir()
    assert lab_version() == "3.2.1"


def test_the_command_tells_it():
    assert run_process("--version").strip() == lab_version()
    assert lab_version().partition("+")[0] == RELEASE
