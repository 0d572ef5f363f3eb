"""The lab, installed from its wheel into a new environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from atesc_core.paths import IMPORT_ROOT

HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV")  # variables that would show the checkout to the installed app


@dataclass(frozen=True)
class InstalledLab:
    """``commands``: the environment's folder of commands; ``folder``: an empty folder outside the checkout."""

    commands: Path
    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """Run a command; return its stdout. The test fails if the command fails."""
        result = subprocess.run(
            [self.commands / command, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    @property
    def environment(self) -> dict[str, str]:
        visible = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        return visible | {"ATESC_RUNS_DIR": str(self.folder / "runs")}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledLab:
    """The wheel, installed into an empty environment that uses the dependencies of the tests' environment."""
    work = tmp_path_factory.mktemp("installed")
    python = work / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", work, IMPORT_ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "env"], check=True)
    [site] = (work / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    [wheel] = work.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (work / "elsewhere").mkdir()
    return InstalledLab(python.parent, work / "elsewhere")
