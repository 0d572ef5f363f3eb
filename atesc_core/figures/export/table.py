"""Tables as files: a data frame as LaTeX (booktabs) or CSV; a mean over seeds as text."""

from __future__ import annotations

import math
import re

import pandas as pd

# Characters that LaTeX reads as commands, and signs that its text fonts lack.
LATEX_SIGNS: dict[str, str] = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "Σ": r"$\Sigma$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\epsilon$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "μ": r"$\mu$",
    "\u202f": r"\,",
    "\u00a0": "~",
    "\n": " ",
}
_SIGN = re.compile("|".join(map(re.escape, LATEX_SIGNS)))
_NUMBER = re.compile(r"[-−+]?\d[\d.\u202f]*( ± [\d.]+)?")
MISSING = "–"


def plus_minus(mean: float, sd: float | None = None, digits: int = 1) -> str:
    """``68.1 ± 1.3``; ``68.1`` without an sd, as for one seed; ``–`` if the mean is missing."""
    if math.isnan(mean):
        return MISSING
    text = f"{mean:.{digits}f}".replace("-", "−")
    return text if sd is None or math.isnan(sd) else f"{text} ± {sd:.{digits}f}"


def latex(rows: pd.DataFrame, *, caption: str = "", label: str = "", comment: str = "", digits: int = 1) -> str:
    """The rows as a booktabs table: a ``tabular``, inside a ``table`` if a caption is given.

    Text is escaped, missing values become a dash, and columns of numbers (``68.1 ± 1.3`` too) are aligned to the right.

    Args:
        rows: One data frame column for each column of the table, named like its heading.
        caption: Caption of the table.
        label: For references to the table.
        comment: LaTeX comments above the table, e.g. the runs behind it.
        digits: Decimals of floats.

    Raises:
        ValueError: The frame has no column.
    """
    if not len(rows.columns):
        raise ValueError(f"rows: {rows.shape[0]} rows without a column; expected at least one column")
    cells = [[_cell_text(value, digits) for value in row] for row in rows.itertuples(index=False, name=None)]
    lines = [_latex_row([str(name) for name in rows.columns]), r"\midrule", *map(_latex_row, cells)]
    body = [
        r"\begin{tabular}{@{}"
        + "".join(map(_alignment, zip(*cells, strict=True)) if cells else "l" * rows.shape[1])
        + "@{}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if caption:
        label_line = [rf"\label{{{_label_text(label)}}}"] if label else []
        body = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            *label_line,
            *body,
            r"\end{table}",
        ]
    comments = [f"% {line}" for line in (comment.splitlines() + [r"\usepackage{booktabs}"])]
    return "\n".join([*comments, *body]) + "\n"


def csv(rows: pd.DataFrame) -> str:
    """The rows as CSV, full precision, without an index."""
    return rows.to_csv(index=False, lineterminator="\n")


def escape_latex(text: str) -> str:
    """Text escaped for LaTeX."""
    return _SIGN.sub(lambda sign: LATEX_SIGNS[sign.group()], text)


def _cell_text(value: object, digits: int) -> str:
    if isinstance(value, float):
        return plus_minus(value, digits=digits)
    return MISSING if value is None or value is pd.NA else str(value)


def _latex_row(cells: list[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"


def _alignment(column: tuple[str, ...]) -> str:
    return "r" if all(cell == MISSING or _NUMBER.fullmatch(cell) for cell in column) else "l"


def _label_text(label: str) -> str:
    """A label reduced to letters that LaTeX allows in it."""
    return re.sub(r"[^A-Za-z0-9:.-]+", "-", label)
