"""The command line, in a process of its own or in this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from atesc_core import cli
from atesc_core.paths import IMPORT_ROOT


def hear_ctrl_c() -> None:
    """What a shell starts in its background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*words: str | Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "atesc_core", *map(str, words)],
        cwd=IMPORT_ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_ctrl_c,
    )


def run_process(*words: str | Path) -> str:
    """The command's stdout; it must succeed."""
    process = command(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def run_in_process(*words: str | Path) -> str:
    """The same without a process of its own."""
    result = CliRunner().invoke(cli.app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
