"""The version of this code, for the origin of figures and runs."""

from __future__ import annotations

import subprocess
from functools import cache

from atesc_core.paths import IMPORT_ROOT

RELEASE = "0.2.0"  # pyproject.toml reads it from here


@cache
def lab_version() -> str:
    """The release, ``0.1.0``; in a git checkout with its commit, ``0.1.0+1dce759``.

    ``.dirty`` is added if files differ from that commit.
    """
    if not (IMPORT_ROOT / ".git").exists():
        return RELEASE
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--exclude=*", "--dirty=.dirty"],
            cwd=IMPORT_ROOT,
            timeout=10,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # no git, or it refuses to read this folder
        return RELEASE
    return f"{RELEASE}+{described.stdout.strip()}"
