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


# Packages and modules of the core, lowest first: each imports only from lines above its own.
LAYERS = (
    {"errors", "vocabulary", "outcome", "paths", "files"},
    {"version", "jobs"},
    {"device", "specs"},
    {"domains", "models"},
    {"training", "robustness"},
    {"teachers", "synthesis"},
    {"distillation", "embedding"},
    {"runs"},
    {"figures", "inspection", "recording", "study", "tensorboard"},
    {"cli"},
    {"__main__"},
)


def imported_modules(path: Path) -> set[str]:
    """Dotted names of the modules of this repository that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith(("atesc_core.", "pages."))}


def test_every_package_of_the_core_imports_only_from_lower_layers():
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    offenders = []
    for path in sorted((ROOT / "atesc_core").rglob("*.py")):
        importer = path.relative_to(ROOT / "atesc_core").with_suffix("").parts[0]
        if importer == "__init__":
            continue
        for name in sorted(imported_modules(path)):
            imported_package = name.split(".")[1]
            if imported_package != importer and layer[imported_package] >= layer[importer]:
                offenders.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not offenders


def test_a_page_imports_from_shared_and_its_own_folder_only():
    offenders = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        folder = path.relative_to(ROOT / "pages").parts[0]
        for name in sorted(imported_modules(path)):
            package, part = name.split(".")[:2]
            if package == "pages" and part not in ("shared", folder):
                offenders.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not offenders
