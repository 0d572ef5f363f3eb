"""What students reached at their last epoch, as a table: a row a setting, mean ± sd over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from atesc_core.figures.theme import ESCAPE_NAMES, METRIC_NAMES
from atesc_core.runs import Run
from atesc_core.spec import field_paths

NAMED = {"teacher": "Teacher", "synthesis.kind": "Synthesis", "escape.kind": "Escape", "epochs": "Epochs",
         "seeds": "Seeds"}
ALWAYS = ("teacher", "synthesis.kind", "escape.kind", "epochs")  # columns, also where all runs are the same
NOT_A_SETTING = {"seed", "device", "preset"}  # what may differ between the seeds of one setting
BETTER = {"iacc": "↑", "oacc": "↑", "olacc": "↓", "asr": "↓"}
ESCAPED = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
           "±": r"$\pm$", "−": r"$-$", "<": r"\textless{}", ">": r"\textgreater{}"}


def last_epochs(runs: Iterable[Run]) -> pd.DataFrame:
    """A row a setting, in the order of ``runs``; those that are not done are left out.

    Columns: ``teacher``, ``synthesis.kind``, ``escape.kind``, ``epochs`` and every other spec field in which the runs
    differ; ``seeds`` (how many); then of each metric that is there (``iacc``, ``oacc``, ``olacc``, ``asr``) the mean
    over the seeds in per cent and, as ``iacc sd`` ..., the sample standard deviation, NaN for one seed. Runs of one
    setting and seed give the same numbers: the first counts.
    """
    rows = [_settings(run) | {"seed": run.spec.seed, **run.metrics} for run in runs if run.status == "done"]
    if not rows:
        return pd.DataFrame(columns=[*ALWAYS, "seeds"])
    frame = pd.DataFrame(rows)
    settings = [name for name in frame if name not in {"seed", *METRIC_NAMES}]
    frame[settings] = frame[settings].astype(object)
    grouped = frame.drop_duplicates([*settings, "seed"]).groupby(settings, sort=False, dropna=False)
    parts = {"seeds": grouped["seed"].count()}
    for name in METRIC_NAMES:
        if name in frame:
            parts |= {name: grouped[name].mean(), f"{name} sd": grouped[name].std()}
    table = pd.concat(parts, axis=1).reset_index()
    differing = [name for name in settings if name in ALWAYS or table[name].nunique(dropna=False) > 1]
    return table[[*differing, *parts]].infer_objects()


def to_csv(table: pd.DataFrame) -> str:
    """``last_epochs`` at full precision."""
    return table.to_csv(index=False, lineterminator="\n")


def to_latex(table: pd.DataFrame, caption: str = "", label: str = "") -> str:
    """``last_epochs`` as a LaTeX table, for booktabs: metrics with one decimal, ± the sd where there are seeds."""
    metrics = [name for name in METRIC_NAMES if name in table]
    words = [name for name in table if name not in metrics and not name.endswith(" sd")]
    heads = [escape(NAMED.get(name, name)) for name in words]
    heads += [escape(f"{METRIC_NAMES[name]} (%) {BETTER[name]}") for name in metrics]
    kinds = "".join("r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in words) + "r" * len(metrics)
    lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escape(caption)}}}"] * bool(caption) + [rf"\label{{{label}}}"] * bool(label)
    lines += [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    lines += [" & ".join([*(escape(_word(name, row[name])) for name in words),
                          *(_number(row[name], row[f"{name} sd"]) for name in metrics)]) + r" \\"
              for row in table.to_dict("records")]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escape(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(ESCAPED.get(letter, letter) for letter in text)


def _settings(run: Run) -> dict[str, Any]:
    """Every spec field by its dotted name, the named ones first."""
    values = run.spec.model_dump(mode="json")
    every = {path: _at(values, path) for path in field_paths(values) if path not in NOT_A_SETTING}
    return {name: every[name] for name in ALWAYS} | every


def _at(values: Mapping[str, Any], path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


def _word(name: str, value: Any) -> str:
    if value is None or value != value:
        return "–"
    if name == "escape.kind":
        return ESCAPE_NAMES[value]
    return value.upper() if name == "synthesis.kind" else str(value)


def _number(mean: float, sd: float) -> str:
    if mean != mean:
        return "–"
    return f"${mean:.1f}$" if sd != sd else rf"${mean:.1f} \pm {sd:.1f}$"
