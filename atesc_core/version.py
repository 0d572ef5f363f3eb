"""Which code this is, so that a figure can say what made it."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def lab_version() -> str:
    """The release, ``0.1.0``; in a git checkout with its commit, ``0.1.0+1dce759``, and ``.dirty`` where files differ
    from it."""
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if not (ROOT / ".git").exists():
        return release
    try:
        told = subprocess.run(["git", "describe", "--always", "--exclude=*", "--dirty=.dirty"], cwd=ROOT, timeout=10,
                              capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or it may not look here
        return release
    return f"{release}+{told.stdout.strip()}"
