"""Runs the command line, in another process or in this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from atesc_core import cli
from atesc_core.paths import IMPORT_ROOT


def enable_ctrl_c() -> None:
    """Let Ctrl-C end the process. A shell's background processes ignore it, and child processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments: str | Path) -> subprocess.Popen:
    """Start ``atesc`` with these arguments in another process."""
    return subprocess.Popen(
        [sys.executable, "-m", "atesc_core", *map(str, arguments)],
        cwd=IMPORT_ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=enable_ctrl_c,
    )


def run_process(*arguments: str | Path) -> str:
    """Run ``atesc`` in another process; return its stdout. The test fails if the command fails."""
    process = command(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def run_in_process(*arguments: str | Path) -> str:
    """The same in this process."""
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
