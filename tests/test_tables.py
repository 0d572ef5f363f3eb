"""The table of last epochs: exact means and standard deviations, and LaTeX that compiles as it reads."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd

from atesc_core.runs import Run
from atesc_core.spec import RunSpec
from atesc_core.tables import escape, last_epochs, to_csv, to_latex

SPEC = RunSpec(teacher="a_teacher", epochs=3).replaced({"escape.kind": "none"})


def run(seed: int = 0, iacc: float = 60.0, olacc: float = 90.0, **changes: object) -> Run:
    spec = SPEC.replaced({"seed": seed, **changes})
    return Run(id="abcdefgh", spec=spec, label=None, group=None, status="done", wanted="run", device="CPU", created=0.0,
               started=0.0, finished=1.0, epoch=3, round=1, epochs=3, rounds=1, images=1, images_per_s=None, eta_s=None,
               error=None, place_in_line=None, metrics={"iacc": iacc, "olacc": olacc})


PLAIN = [run(0, 60, 98), run(1, 62, 99), run(2, 67, 100)]
ATESC = [run(0, 58.5, 20, **{"escape.kind": "atesc", "escape.weight": 0.3})]


def test_seeds_of_a_setting_become_mean_and_standard_deviation():
    table = last_epochs([*PLAIN, *ATESC])
    assert list(table) == ["teacher", "synthesis.kind", "escape.kind", "epochs", "escape.weight", "seeds", "iacc",
                           "iacc sd", "olacc", "olacc sd"]
    assert table["seeds"].tolist() == [3, 1]
    assert table["iacc"].tolist() == [63.0, 58.5]
    assert table["iacc sd"][0] == np.std([60, 62, 67], ddof=1) and np.isnan(table["iacc sd"][1])
    assert table["escape.weight"].tolist() == [1.0, 0.3]


def test_a_seed_counts_once_and_a_run_that_goes_on_does_not():
    table = last_epochs([*PLAIN, run(0, 60, 98, device="cpu"), replace(run(7, 5, 5), status="stopped")])
    assert table["seeds"].tolist() == [3] and table["iacc"].tolist() == [63.0]


def test_settings_with_different_metrics_share_a_table():
    closed = replace(run(teacher="b"), metrics={"iacc": 50.0, "oacc": 40.0})
    table = last_epochs([*ATESC, closed])
    assert np.isnan(table["oacc"][0]) and table["oacc"][1] == 40.0
    assert "& – &" in to_latex(table)


def test_no_run_is_an_empty_table():
    assert len(last_epochs([])) == 0 and r"\midrule" in to_latex(last_epochs([]))


def test_the_csv_reads_back():
    table = last_epochs([*PLAIN, *ATESC])
    again = pd.read_csv(io.StringIO(to_csv(table)))
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_latex_is_a_booktabs_table():
    text = to_latex(last_epochs([*PLAIN, *ATESC]), "Last epoch, 50 % & more", "tab:last")
    lines = text.splitlines()
    assert lines[0] == r"% \usepackage{booktabs}"
    assert r"\caption{Last epoch, 50 \% \& more}" in lines and r"\label{tab:last}" in lines
    assert r"\begin{tabular}{lllrrrrr}" in lines
    assert (r"Teacher & Synthesis & Escape & Epochs & escape.weight & Seeds & IAcc (\%) $\uparrow$ & "
            r"OLAcc (\%) $\downarrow$ \\") in lines
    assert r"a\_teacher & DFQ & plain & 3 & 1.0 & 3 & $63.0 \pm 3.6$ & $99.0 \pm 1.0$ \\" in lines
    assert r"a\_teacher & DFQ & ATEsc & 3 & 0.3 & 1 & $58.5$ & $20.0$ \\" in lines
    assert [line for line in lines if line.startswith(("\\top", "\\mid", "\\bottom"))] == [
        r"\toprule", r"\midrule", r"\bottomrule"]


def test_names_from_users_are_escaped():
    assert escape(r"a_b & 5 % {x} \y ~ ^ # $") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \textasciitilde{} \textasciicircum{} \# \$")
