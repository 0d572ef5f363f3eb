"""The house's fixed rules that a test can hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_core_imports_no_streamlit():
    offenders = [path for path in (ROOT / "atesc_core").rglob("*.py") if "streamlit" in imported(path)]
    assert not offenders


def test_pages_import_no_torch_and_no_sql():
    offenders = [path for path in (ROOT / "pages").rglob("*.py") if imported(path) & {"torch", "sqlite3"}]
    assert not offenders


def test_describing_a_run_needs_no_torch():
    light = (
        "atesc_core.specs.run, atesc_core.runs, atesc_core.runs.students, atesc_core.domains, "
        "atesc_core.teachers, atesc_core.teachers.recipes, atesc_core.teachers.report"
    )
    code = f"import sys, {light}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_app_routes_only():
    assert len((ROOT / "app.py").read_text().splitlines()) < 60
