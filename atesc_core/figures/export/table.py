"""Tables to take home: a data frame as LaTeX (booktabs) or CSV, and how a mean over seeds is written."""

from __future__ import annotations

import math
import re

import pandas as pd

# What LaTeX reads as a command, and the signs of ours that its text fonts lack.
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
    """``68.1 ± 1.3``; ``68.1`` without an sd, as of one seed; ``–`` where nothing was measured."""
    if mean is None or math.isnan(mean):
        return MISSING
    written = f"{mean:.{digits}f}".replace("-", "−")
    return written if sd is None or math.isnan(sd) else f"{written} ± {sd:.{digits}f}"


def latex(rows: pd.DataFrame, *, caption: str = "", label: str = "", comment: str = "", digits: int = 1) -> str:
    """The rows as a booktabs table: a ``tabular``, inside a ``table`` with a caption where one is given.

    rows: a column of the table each, named as it is to be headed. Text is escaped; floats are written with
    ``digits`` decimals, missing values as a dash; columns of numbers (``68.1 ± 1.3`` too) stand to the right.
    comment: LaTeX comment lines above, e.g. which runs these are. Raises ValueError for a frame without columns.
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
        named = [rf"\label{{{_label_text(label)}}}"] if label else []
        body = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(caption)}}}", *named, *body, r"\end{table}"]
    comments = [f"% {line}" for line in (comment.splitlines() + [r"\usepackage{booktabs}"])]
    return "\n".join([*comments, *body]) + "\n"


def csv(rows: pd.DataFrame) -> str:
    """The rows as CSV, full precision, without an index."""
    return rows.to_csv(index=False, lineterminator="\n")


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it."""
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
    """A label's letters: LaTeX takes no command inside."""
    return re.sub(r"[^A-Za-z0-9:.-]+", "-", label)
