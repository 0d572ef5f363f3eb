"""The figure command: what it writes, and what it says of what was typed wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from atesc_core import cli
from atesc_core.figures.export import browser
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Panel, Recipe
from tests.support.figure_labs import FiguresLab


@pytest.fixture
def typed(figures_lab: FiguresLab, monkeypatch, capsys):
    """``typed("figure", ...)``: exit status, stdout, stderr."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(figures_lab.runs_dir))

    def type_(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atesc_core", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        said = capsys.readouterr()
        return exit_.value.code or 0, said.out, said.err

    return type_


@pytest.fixture
def no_browser(monkeypatch, tmp_path):
    browser.close_browser()
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))


def test_the_list_names_every_figure_and_its_options(typed):
    status, out, _ = typed("figure", "list", "--json")
    assert status == 0
    listed = {figure["name"]: figure for figure in json.loads(out)}
    assert {"accuracy", "scores", "embedding"} <= set(listed) == set(PANEL_OPTIONS)
    assert listed["accuracy"]["title"] == "Student accuracy by epoch"
    assert "threshold" in listed["scores"]["options"]
    assert "Robustness scores" in typed("figure", "list")[1]


def test_a_pdf_is_as_wide_as_the_venue_and_lies_beside_its_origin(typed, figures_lab, tmp_path):
    out = tmp_path / "trap.pdf"
    status, said, _ = typed(
        "figure", "scores", "--run", figures_lab.atesc, "--venue", "ieee", "--columns", "2", "--out", out
    )
    assert (status, said) == (0, f"{out}\n")
    file = out.read_bytes()
    width = float(re.search(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)", file)[1])
    assert width == pytest.approx(7.16 * 72, abs=0.75)
    assert b"+Arimo" in file
    assert b"/Subtype /Image" not in file
    told = yaml.safe_load((tmp_path / "trap.pdf.yaml").read_text())
    assert told["run"] == figures_lab.atesc
    assert "--venue ieee --columns 2" in told["figure_command"]


def test_a_png_has_the_pixels_that_are_asked_for(typed, figures_lab, tmp_path):
    typed(
        "figure",
        "accuracy",
        "--run",
        figures_lab.atesc,
        "--dpi",
        "200",
        "--height-in",
        "2",
        "--out",
        tmp_path / "a.png",
    )
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (650, 400)


def test_a_csv_needs_no_browser(typed, figures_lab, tmp_path, no_browser):
    status, _, _ = typed("figure", "accuracy", "--run", figures_lab.atesc, "--out", tmp_path / "a.csv")
    assert status == 0
    rows = pd.read_csv(tmp_path / "a.csv")
    iacc = rows[rows["metric"] == "IAcc"]["per cent of test images"]
    assert iacc.tolist() == figures_lab.store.epochs(figures_lab.atesc)["iacc"].tolist()


def test_without_a_browser_the_data_is_written_all_the_same(typed, figures_lab, tmp_path, no_browser):
    status, _, err = typed("figure", "accuracy", "--run", figures_lab.atesc, "--out", tmp_path / "a.pdf")
    assert status == 1
    assert "apt install chromium" in err
    assert f"The data is in {tmp_path / 'a.csv'}" in err
    assert "IAcc" in (tmp_path / "a.csv").read_text()
    assert not (tmp_path / "a.pdf").exists()


def test_a_saved_recipe_is_made_again(typed, figures_lab, tmp_path):
    recipe = Recipe(panels=(Panel(figure="accuracy", run=figures_lab.atesc),), formats=("pdf", "png"))
    file = tmp_path / f"{recipe.stem}.recipe.yaml"
    file.write_text(recipe.to_yaml())
    status, out, _ = typed("figure", file, "--out", tmp_path / "figures")
    assert status == 0
    assert {Path(line).name for line in out.splitlines()} == {
        f"accuracy-{figures_lab.atesc}.{kind}" for kind in ("csv", "yaml", "pdf", "png")
    }
    alone = tmp_path / "alone.csv"
    typed("figure", "accuracy", "--run", figures_lab.atesc, "--out", alone)
    assert (tmp_path / "figures" / f"accuracy-{figures_lab.atesc}.csv").read_text() == alone.read_text()


def test_panels_share_a_page_and_say_how_to_make_them_again(typed, figures_lab, tmp_path):
    out = tmp_path / "both.pdf"
    status, _, err = typed(
        "figure",
        "panels",
        "--run",
        figures_lab.atesc,
        "--of",
        "accuracy",
        "--of",
        "scores",
        "--epoch",
        "1",
        "--label",
        "students",
        "--columns",
        "2",
        "--out",
        out,
    )
    assert status == 0, err
    file, told = out.read_bytes(), yaml.safe_load((tmp_path / "both.pdf.yaml").read_text())
    width = float(re.search(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)", file)[1])
    assert width == pytest.approx(6.75 * 72, abs=0.75)
    assert [panel["figure"] for panel in told["recipe"]["panels"]] == ["accuracy", "scores"]
    again = told["figure_command"].split()
    assert again[1:3] == ["figure", "panels"]
    assert again[-1] == str(out)
    assert typed(*again[1:-1], tmp_path / "again.csv")[0] == 0
    rows = pd.read_csv(tmp_path / "again.csv")
    assert set(rows["panel"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["panels", "--run", "{atesc}", "--out", "x.pdf"], ["of: missing", "--of NAME"]),
        (["panels", "--of", "accuracy", "--out", "x.pdf"], ["run: missing for accuracy", "--of accuracy@ID"]),
        (["panels", "--of", "pie@{atesc}", "--out", "x.pdf"], ["figure: 'pie'", "accuracy, "]),
        (
            [
                "panels",
                "--run",
                "{atesc}",
                "--of",
                "accuracy",
                "--of",
                "fragile_share",
                "--epoch",
                "1",
                "--out",
                "x.pdf",
            ],
            ["epoch: 1", "accuracy takes no epoch"],
        ),
        (
            ["panels", "--run", "{atesc}", "--of", "accuracy", "--label", "a", "--label", "b", "--out", "x.pdf"],
            ["label: 2 for 1 panels"],
        ),
        (
            ["panels", "--run", "{atesc}", "--of", "accuracy", "--of", "scores", "--across", "9", "--out", "x.pdf"],
            ["across: 9", "6"],
        ),
        (["acuracy", "--run", "{atesc}", "--out", "x.pdf"], ["figure: 'acuracy'", "accuracy, "]),
        (["acuracy", "--out", "x.pdf"], ["figure: 'acuracy'", "accuracy, "]),
        (["accuracy", "--run", "zzzzzzzz", "--out", "x.pdf"], ["run: 'zzzzzzzz'"]),
        (["accuracy", "--run", "../etc", "--out", "x.pdf"], ["run: '../etc'", "8 letters"]),
        (["accuracy", "--run", "{atesc}", "--against", "zzzzzzzz", "--out", "x.pdf"], ["run: 'zzzzzzzz'"]),
        (["scores", "--run", "{waiting}", "--out", "x.pdf"], ["run: {waiting}", "no synthetic images yet", "epoch 1"]),
        (["scores", "--run", "{atesc}", "--epoch", "9", "--out", "x.pdf"], ["epoch: 9", "there are: 1, 2"]),
        (["scores", "--run", "{atesc}", "--score", "luck", "--out", "x.pdf"], ["score: 'luck'", "min_eps, margin, kl"]),
        (["accuracy", "--run", "{atesc}", "--epoch", "1", "--out", "x.pdf"], ["epoch: 1", "takes no epoch"]),
        (["accuracy", "--run", "{atesc}", "--out", "x.gif"], ["out: 'x.gif' ends in .gif", ".pdf, .svg, .png, .csv"]),
        (["accuracy", "--run", "{atesc}", "--out", "x"], ["out: 'x' ends in nothing", ".pdf"]),
        (["accuracy", "--run", "{atesc}", "--out", "no/x.pdf"], ["out: 'no/x.pdf'", "'no' does not exist"]),
        (["accuracy", "--run", "{atesc}"], ["out: missing", "--out FILE"]),
        (["accuracy", "--out", "x.pdf"], ["run: missing", "--run ID"]),
        (["accuracy", "--run", "{atesc}", "--venue", "nature", "--out", "x.pdf"], ["--venue", "'nature'", "icml"]),
        (["accuracy", "--run", "{atesc}", "--columns", "3", "--out", "x.pdf"], ["columns: 3", "1 or 2"]),
        (["accuracy", "--run", "{atesc}", "--dpi", "9000", "--out", "x.png"], ["dpi: 9000", "1200"]),
        (["gone.yaml", "--out", "."], ["recipe: 'gone.yaml'", "no such file"]),
        (["gone.yaml"], ["out: missing", "--out DIR"]),
    ],
    ids=lambda value: " ".join(value)[:48] if isinstance(value, list) else None,
)
def test_what_is_typed_wrong_is_named_in_one_line(typed, figures_lab, tmp_path, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    ids = {"atesc": figures_lab.atesc, "waiting": figures_lab.waiting}
    status, out, err = typed("figure", *(word.format(**ids) for word in words))
    assert (status, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.lower().startswith("error: ")
    for word in named:
        assert word.format(**ids) in last
    assert not list(tmp_path.glob("x*"))


def test_a_damaged_recipe_is_named_with_its_file(typed, tmp_path):
    (tmp_path / "bad.yaml").write_text("panels: [{figure: pie, run: abcdefgh}]")
    status, _, err = typed("figure", tmp_path / "bad.yaml", "--out", tmp_path)
    assert status == 2
    assert "bad.yaml: panels.0.figure: 'pie': expected one of accuracy" in err
