"""What the documents and docstrings say exists, exists; and the README's Python runs."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import textwrap
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from streamlit.testing.v1 import AppTest

from atesc_core.distillation import losses
from atesc_core.domains import arrays
from atesc_core.paths import IMPORT_ROOT
from atesc_core.robustness import scores
from atesc_core.specs import run as run_specs
from atesc_core.specs.run import RunSpec, SplitSpec
from atesc_core.synthesis import dfq
from atesc_core.teachers.zoo import load_teacher
from tests.support.pages import page_text

TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=IMPORT_ROOT, capture_output=True, text=True, check=True
).stdout.split()
DOCUMENTS = [name for name in TRACKED if name.endswith(".md") and not name.startswith("docs/results")]
SOURCES = [name for name in TRACKED if name.endswith(".py")]
FILE = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.(?:py|md|js|css|jsonl))\b")
# Files of other projects, which the sentence around them names, and a program's name.
ELSEWHERE = {
    "data_split.py",
    "forward_msg_queue.py",
    "models/cmi_models/classifiers/resnet_in.py",
    "models/ntl_vggnet.py",
    "pretrain/trainer_CUTI.py",
    "utils/load_utils.py",
    "zskt/main.py",
    "registry.py",
    "train_scratch.py",
    "train_ts_digit.py",
    *(f"datafree/models/classifiers/{name}.py" for name in ("resnet", "vgg", "wresnet")),
    "Plotly.js",
}


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", (IMPORT_ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "plotly" in (tmp_path / "scores.html").read_text()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_documents_links_lead_somewhere(name):
    path = IMPORT_ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target


def documented(name: str) -> str:
    """All docstrings of a module, and its comments."""
    source = (IMPORT_ROOT / name).read_text()
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, holders)]
    return "\n".join(texts + re.findall(r"(?:^|\s)#(.*)", source))


@pytest.mark.parametrize("name", SOURCES)
def test_a_docstring_points_to_files_that_are_there(name):
    known = [f"/{tracked}" for tracked in TRACKED]
    for file in FILE.findall(documented(name)):
        assert file in ELSEWHERE or any(path.endswith(f"/{file}") for path in known), file


def test_the_examples_of_contributing_run(tmp_path):
    """They did not: the synthesizer lacked a method, and nobody had tried."""
    codes = re.findall(r"```python\n(.*?)```", (IMPORT_ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    settings, synthesizer, score, forgetting, figure, domain, page = map(textwrap.dedent, codes)
    defined: dict[str, Any] = {}
    drawing = importlib.import_module("atesc_core.figures.drift")  # its package gives the figure this name
    for code, beside in (
        (settings, run_specs),
        (synthesizer, dfq),
        (score, scores),
        (forgetting, losses),
        (figure, drawing),
        (domain, arrays),
    ):
        exec(code, names := dict(vars(beside)))
        defined |= names
    assert defined["NoiseSpec"]().kind == "noise"

    teacher, random = load_teacher("mnistm-mnist-sl").model, torch.Generator().manual_seed(0)
    noise = defined["Noise"](RunSpec(teacher="t"), teacher, 16, random)
    assert not list(noise.turns(teacher))
    images = noise.sample(4)
    assert images.shape == (4, 3, 16, 16)
    assert (defined["entropy"](teacher, images, SplitSpec(), random) <= 0).all()
    answers = torch.tensor([[3.0, 2.0, 1.0]])
    second = defined["to_second_choice"](answers, answers, 10.0)
    torch.testing.assert_close(second, F.cross_entropy(answers, torch.tensor([1]), reduction="none"))
    drawn = defined["score_means"](pd.DataFrame({"epoch": [1, 2], "mean": [3.0, 4.0]}), "print")
    assert list(drawn.data[0].y) == [3.0, 4.0]
    split = defined["rectangles"]()
    assert [len(part.labels) for part in split] == [400, 100, 100]
    lit = split.test.images.any(3)
    assert ((lit.any(1).sum(1) > lit.any(2).sum(1)) == (split.test.labels == 0)).all()

    (tmp_path / "page.py").write_text(f"import sys\nsys.path.insert(0, {str(IMPORT_ROOT)!r})\n" + page)
    app = AppTest.from_file(str(tmp_path / "page.py")).run(timeout=60)
    assert not app.exception
    assert "Runs" in page_text(app)


def test_every_hop_of_the_walks_is_there():
    """docs/architecture.md names a file and what it does there, hop by hop."""
    text = (IMPORT_ROOT / "docs" / "architecture.md").read_text()
    walks = text.partition("## Walk:")[2]
    hops = re.findall(r"`([\w/.]+\.(?:py|js))`: `(\w+)`", walks)
    threshold, teacher = (re.findall(r"^(\d+)\. `", walk, re.MULTILINE) for walk in walks.split("## Walk:"))
    assert (len(threshold), len(teacher)) == (9, 6)
    assert len(hops) >= 15
    for file, name in hops:
        source = (IMPORT_ROOT / file).read_text()
        assert re.search(rf"(def|class|function) {name}\b|\b{name}\(", source), (file, name)
