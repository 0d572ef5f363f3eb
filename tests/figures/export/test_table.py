"""Tables leave as LaTeX that compiles and as CSV that loses nothing."""

import io

import numpy as np
import pandas as pd
import pytest

from atesc_core.figures.export import table

ROWS = pd.DataFrame(
    {
        "Spec": ["plain", "ATEsc, λ = 0.3"],
        "Seeds": [1, 3],
        "IAcc ↑ (%)": ["66.8", "68.1 ± 1.3"],
        "OLAcc ↓ (%)": [99.84, np.nan],
    }
)


def test_latex_is_booktabs_with_numbers_to_the_right():
    assert table.latex(ROWS) == (
        "% \\usepackage{booktabs}\n"
        "\\begin{tabular}{@{}lrrr@{}}\n"
        "\\toprule\n"
        "Spec & Seeds & IAcc $\\uparrow$ (\\%) & OLAcc $\\downarrow$ (\\%) \\\\\n"
        "\\midrule\n"
        "plain & 1 & 66.8 & 99.8 \\\\\n"
        "ATEsc, $\\lambda$ = 0.3 & 3 & 68.1 $\\pm$ 1.3 & -- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_a_caption_makes_it_a_float_with_a_label():
    lines = table.latex(ROWS, caption="50 % more", label="tab:a b}", comment="run abc\nrun def").splitlines()
    assert lines[:3] == ["% run abc", "% run def", "% \\usepackage{booktabs}"]
    assert lines[3:7] == ["\\begin{table}", "\\centering", "\\caption{50 \\% more}", "\\label{tab:a-b-}"]
    assert lines[-1] == "\\end{table}"


def test_every_sign_of_latex_is_text():
    assert table.escape_latex(r"a_b & 5% {$x} \#~^") == (
        r"a\_b \& 5\% \{\$x\} \textbackslash{}\#\textasciitilde{}\textasciicircum{}"
    )


def test_a_text_that_ends_in_a_line_break_stays_on_its_line():
    written = table.latex(pd.DataFrame({"a": ["one\n\\end{document}"]}))
    assert "one \\textbackslash{}end\\{document\\} \\\\" in written.splitlines()


def test_no_rows_is_a_table_of_headings():
    assert "\\begin{tabular}{@{}ll@{}}" in table.latex(pd.DataFrame(columns=["a", "b"]))


def test_no_columns_is_an_error():
    with pytest.raises(ValueError, match="rows: 0 rows without a column"):
        table.latex(pd.DataFrame())


@pytest.mark.parametrize(
    ("mean", "sd", "written"),
    [
        (68.14, 1.26, "68.1 ± 1.3"),
        (68.14, np.nan, "68.1"),
        (68.14, None, "68.1"),
        (-0.26, 0.0, "−0.3 ± 0.0"),
        (np.nan, np.nan, "–"),
    ],
)
def test_a_mean_has_an_sd_only_from_seeds(mean, sd, written):
    assert table.plus_minus(mean, sd) == written


def test_csv_keeps_every_digit_and_every_comma():
    rows = pd.DataFrame({"spec": ['ATEsc, "a"'], "iacc": [1 / 3]})
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(table.csv(rows))), rows)
