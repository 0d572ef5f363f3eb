"""The lab installed from its wheel into an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from atesc_core.paths import IMPORT_ROOT


@dataclass(frozen=True)
class InstalledLab:
    """``commands``: the folder of the environment's commands; ``folder``: an empty one, outside the checkout."""

    commands: Path
    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """What the command prints; it must succeed."""
        done = subprocess.run(
            [self.commands / command, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        hidden = ("PYTHONPATH", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return kept | {"ATESC_RUNS_DIR": str(self.folder / "runs")}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledLab:
    """The wheel in an empty environment, which finds the dependencies where these tests find them."""
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
