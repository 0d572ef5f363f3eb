"""Tables of studies, made only from the rows. A run that was not done is marked as such, never estimated."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atesc_core.domains import find_pair
from atesc_core.outcome import Outcome, trap_outcome
from atesc_core.specs.run import RunSpec
from atesc_core.study import plan
from atesc_core.study.plan import ESCAPE_FORMS, MAIN_ESCAPE_FORMS, STUDIES, PlannedRun
from atesc_core.study.rows import DOCS, Images, outcome_key, read_rows
from atesc_core.vocabulary import METRIC_BETTER, METRIC_NAMES, SETTING_NAMES, SYNTHESIZER_NAMES

MIN_SEEDS_FOR_TEST = 3  # seeds; a t-test over two differences means almost nothing
NOT_RUN = "not run"
# The aim of the lab's own escape, against the student of the SL teacher: points, points, and parts of its values.
AIMED_IACC, AIMED_TRAP, AIMED_OACC, AIMED_RECALL = 4.0, 5.0, 0.6, 0.8
_METRIC_HEADS = {metric: f"{name} {METRIC_BETTER[metric]}" for metric, name in METRIC_NAMES.items()}
CASE_COLUMNS = [
    "synthesizer",
    "setting",
    "pair",
    "metric",
    "kind",
    "teacher",
]  # the forms of distillation are compared within each case


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def results(
    cells: list[PlannedRun], rows: dict[Hashable, dict[str, Any]], images_from: Images = "test"
) -> pd.DataFrame:
    """One line for each planned run, in the study's order.

    Returns:
        Columns synthesizer, setting, pair, metric, kind and name of the teacher, form, batch, seed; iacc, other (the
        pair's metric), trap_recall (of the trap label's own class), worst_recall, per cent; trap_found and trap_label
        (of the evidence); outcome, as `trap_outcome` says against the plain student of the SL teacher
        with the same seeds; id_images and ood_images (their numbers of images); seconds, device, torch. NaN or None if
        it was not run.
    """
    lines = []
    for cell in cells:
        pair, spec = find_pair(cell.pair), cell.spec
        row = rows.get(outcome_key(spec, images_from), {})
        metrics, images = row.get("metrics", {}), row.get("images", {})
        lines.append(
            {
                "synthesizer": spec.synthesis.kind,
                "setting": pair.setting,
                "pair": pair.name,
                "metric": pair.metric,
                "kind": cell.kind,
                "teacher": spec.teacher,
                "form": cell.form,
                "batch": spec.batch_size,
                "seed": spec.seed,
                "iacc": metrics.get("iacc", np.nan),
                "other": metrics.get(pair.metric, np.nan),
                "trap_recall": metrics.get("trap_recall", np.nan),
                "worst_recall": metrics.get("worst_recall", np.nan),
                "trap_found": (row.get("trap") or {}).get("is_trap"),
                "trap_label": (row.get("trap") or {}).get("label"),
                "outcome": _outcome(spec, row, rows.get(outcome_key(control_spec(cell), images_from))) if row else None,
                "id_images": images.get("id", np.nan),
                "ood_images": images.get("ood", np.nan),
                "seconds": row.get("seconds", np.nan),
                "device": row.get("device"),
                "torch": row.get("torch"),
            }
        )
    return pd.DataFrame(lines)


def control_spec(cell: PlannedRun) -> RunSpec:
    """The plain run of the same settings and seeds from the SL teacher of the pair."""
    name = f"{cell.pair}-sl" + cell.spec.teacher.removeprefix(f"{cell.pair}-{cell.kind.lower()}")
    return cell.spec.replaced({"teacher": name, "escape.kind": "none"})


def _outcome(spec: RunSpec, row: dict[str, Any], control: dict[str, Any] | None) -> Outcome | None:
    forgets = spec.escape.forgets and (row.get("trap") or {}).get("is_trap", True)  # without a trap Twin is plain
    if control is None:
        return trap_outcome(row["metrics"], forgets=forgets)
    label = row["trap_label"]
    recall = None if label is None else control["recalls"][label]
    return trap_outcome(row["metrics"], control["metrics"], recall, forgets)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """``results`` over seeds, one line for each form of a case, in the study's order.

    Columns: CASE_COLUMNS, form, planned and n (seeds), id_images, ood_images, seconds (mean of a run); numbers of runs
    for each outcome: trapped, partly_trapped, over_forgetting; for value in (iacc, other, trap_recall, worst_recall)
    ``{value}_mean``, ``{value}_sd``; and for iacc and other, against plain on the same seeds, ``{value}_pairs``,
    ``{value}_difference``, ``{value}_p``.
    """
    lines = []
    for case, runs in frame.groupby(CASE_COLUMNS, sort=False):
        done = runs.dropna(subset="iacc").set_index("seed")
        plain = done[done.form == "plain"]
        for form in dict.fromkeys(runs.form):
            of_form = done[done.form == form]
            line = dict(zip(CASE_COLUMNS, case, strict=True)) | {
                "form": form,
                "planned": int((runs.form == form).sum()),
                "n": len(of_form),
                **of_form[["id_images", "ood_images", "seconds"]].mean(),
                "trapped": int((of_form.outcome == "trapped").sum()),
                "partly_trapped": int((of_form.outcome == "partly trapped").sum()),
                "over_forgetting": int((of_form.outcome == "over-forgetting").sum()),
            }
            for value in ("iacc", "other", "trap_recall", "worst_recall"):
                line |= {f"{value}_mean": of_form[value].mean(), f"{value}_sd": of_form[value].std()}
                if value in ("iacc", "other") and form != "plain":
                    pairs, difference, p = paired_t_test(of_form[value], plain[value])
                    line |= {f"{value}_pairs": pairs, f"{value}_difference": difference, f"{value}_p": p}
            lines.append(line)
    return pd.DataFrame(lines)


def paired_t_test(values: pd.Series, plain: pd.Series) -> tuple[int, float, float]:
    """Two-sided paired t-test on the seeds that both have.

    Args:
        values: Indexed by seed.
        plain: The values of the plain form, indexed by seed.

    Returns:
        n, mean difference, p. p is NaN for fewer than three pairs, and if all differences are equal.
    """
    from scipy.stats import ttest_1samp

    differences = (values - plain).dropna()
    n = len(differences)
    testable = n >= MIN_SEEDS_FOR_TEST and np.ptp(differences) > 1e-9
    return n, float(differences.mean()), float(ttest_1samp(differences, 0).pvalue) if testable else np.nan


# ── Markdown ────────────────────────────────────────────────────────────────────────────────────────


def mean_sd_text(mean: float, sd: float) -> str:
    """``63.2 ± 13.1``; ``63.2`` for one seed; a dash where it was not measured."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.1f}" + ("" if pd.isna(sd) else f" ± {sd:.1f}")


def difference_text(pairs: float, difference: float, p: float) -> str:
    """``+5.8 (p = 0.31, n = 3)``: the difference from plain with its p; empty for plain itself."""
    if pd.isna(pairs):
        return ""
    if pairs == 0:
        return "plain not run"
    test = "no test" if pd.isna(p) else "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"{difference:+.1f} ({test}, n = {pairs:.0f})".replace("-", "−")


def evidence_tables(frame: pd.DataFrame) -> str:
    """A Markdown table for each synthesizer."""
    done = frame.iacc.notna()
    parts = [f"{done.sum()} of {len(frame)} runs are done."]
    for synthesizer, runs in frame.groupby("synthesizer", sort=False):
        count = int(runs.iacc.notna().sum())
        parts.append(f"### {SYNTHESIZER_NAMES[str(synthesizer)]}: {count} of {len(runs)} runs")
        parts.append(evidence_table(summary(runs)) if count else f"{NOT_RUN.capitalize()}.")
    return "\n\n".join(parts)


def evidence_table(lines: pd.DataFrame) -> str:
    """``summary`` as a Markdown table; a case of which no form was run takes one line."""
    texts = summary_table(lines).drop(columns="synthesizer")
    case = ["setting", "pair", "teacher"]
    table = [f"| {' | '.join(map(str, texts.columns))} |", "|---" * len(texts.columns) + "|"]
    for _, forms in texts.groupby(case, sort=False):
        if (forms["IAcc ↑"] == NOT_RUN).all():
            forms = forms.head(1).assign(form=", ".join(forms.form))
        table += [f"| {' | '.join(line)} |" for line in forms.itertuples(index=False)]
    return "\n".join(table)


def summary_table(lines: pd.DataFrame) -> pd.DataFrame:
    """``summary`` as texts, with the heads of a table."""
    return pd.DataFrame([_summary_texts(line) for _, line in lines.iterrows()])


def _summary_texts(line: pd.Series) -> dict[str, str]:
    ran = line.n > 0
    return {
        "synthesizer": SYNTHESIZER_NAMES[line.synthesizer],
        "setting": SETTING_NAMES[line.setting],
        "pair": line.pair,
        "teacher": line.kind,
        "form": line.form,
        "seeds": f"{line.n} of {line.planned}",
        "IAcc ↑": mean_sd_text(line.iacc_mean, line.iacc_sd) if ran else NOT_RUN,
        "IAcc against plain": _difference_from_plain(line, "iacc") if ran else "",
        "OOD metric": _METRIC_HEADS[line.metric],
        "its value": mean_sd_text(line.other_mean, line.other_sd) if ran else NOT_RUN,
        "its value against plain": _difference_from_plain(line, "other") if ran else "",
        "trapped": _trapped_text(line) if ran else "",
        "trap label's recall ↑": _trap_recall_text(line) if ran else "",
        "worst class ↑": mean_sd_text(line.worst_recall_mean, line.worst_recall_sd) if ran else "",
        "test images a run": f"{line.id_images:,.0f} ID, {line.ood_images:,.0f} OOD" if ran else "",
        "a run takes": f"{line.seconds:.0f} s" if ran else "",
    }


def _trapped_text(line: pd.Series) -> str:
    """``2 of 3, partly 1``."""
    return f"{line.trapped} of {line.n}" + (f", partly {line.partly_trapped}" if line.partly_trapped else "")


def _trap_recall_text(line: pd.Series) -> str:
    """``4.1 ± 2.0, over-forgetting on 3``: of the trap label's own class."""
    marked = f", over-forgetting on {line.over_forgetting}" if line.over_forgetting else ""
    return mean_sd_text(line.trap_recall_mean, line.trap_recall_sd) + marked


def _difference_from_plain(line: pd.Series, value: str) -> str:
    names = [f"{value}_{name}" for name in ("pairs", "difference", "p")]
    return difference_text(*(line.get(name, np.nan) for name in names))


def escape_table(frame: pd.DataFrame) -> str:
    """Plain and ATEsc by seed, at each batch size, as a Markdown table."""
    table = [
        "| setting | KD batch | seeds | IAcc ↑ plain | IAcc ↑ ATEsc | OOD metric | plain | ATEsc "
        "| by seed, plain → ATEsc: IAcc; OOD metric |",
        "|---" * 9 + "|",
    ]
    frame = frame[frame.form.isin(MAIN_ESCAPE_FORMS)]
    for (batch, setting, pair, metric), runs in frame.groupby(["batch", "setting", "pair", "metric"], sort=False):
        complete = runs.pivot(index="seed", columns="form", values=["iacc", "other"]).dropna()
        cells = {
            (value, form): mean_sd_text(complete[value, form].mean(), complete[value, form].std())
            if len(complete)
            else NOT_RUN
            for value in ("iacc", "other")
            for form in MAIN_ESCAPE_FORMS
        }
        seeds = [
            "; ".join(f"{row[name, 'plain']:.1f} → {row[name, 'ATEsc']:.1f}" for name in ("iacc", "other"))
            for _, row in complete.iterrows()
        ]
        table.append(
            f"| {SETTING_NAMES[str(setting)]} `{pair}` | {batch} | {len(complete)} | {cells['iacc', 'plain']} "
            f"| {cells['iacc', 'ATEsc']} | {_METRIC_HEADS[str(metric)]} | {cells['other', 'plain']} "
            f"| {cells['other', 'ATEsc']} | {'<br>'.join(seeds)} |"
        )
    return "\n".join(table)


def forms_table(frame: pd.DataFrame) -> str:
    """Each form of the escape, at the first batch size, as a Markdown table."""
    frame = frame[frame.batch == plan.BATCH_SIZES[0]]
    pairs = frame.drop_duplicates("pair")
    heads = [
        f"{SETTING_NAMES[setting]}: IAcc ↑, {_METRIC_HEADS[metric]}"
        for setting, metric in zip(pairs["setting"], pairs["metric"], strict=True)
    ]
    table = [f"| form | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for form in ESCAPE_FORMS:
        groups = [frame[(frame.form == form) & (frame.pair == pair)].dropna(subset="iacc") for pair in pairs.pair]
        cells = [
            ", ".join(mean_sd_text(group[name].mean(), group[name].std()) for name in ("iacc", "other"))
            if len(group)
            else NOT_RUN
            for group in groups
        ]
        table.append(
            f"| {form} | {', '.join(dict.fromkeys(str(len(group)) for group in groups))} | {' | '.join(cells)} |"
        )
    return "\n".join(table)


def provenance_sentence(rows: list[dict[str, Any]]) -> str:
    """A sentence on the number of runs, their total time, and the devices."""
    if not rows:
        return "No runs yet."
    shares = [1 / (1 + len(row.get("with", ()))) for row in rows]  # a run that gave several rows counts once
    hours = sum(share * row["seconds"] for share, row in zip(shares, rows, strict=True)) / 3600
    devices = dict.fromkeys(row.get("device", "CPU") for row in rows)
    runs = f"{sum(shares):.0f} run{'s' * (round(sum(shares)) != 1)}"
    return (
        f"{len(rows)} rows of {runs} (a control has one for each pair that it is measured on), {hours:.1f} hours "
        f"in all, on {'; '.join(devices)}; "
        f"PyTorch {', '.join(dict.fromkeys(row['torch'] for row in rows))}."
    )


def write_page(rows_file: Path, seeds: dict[str, int] | None = None) -> Path:
    """Write results.md next to the rows file, from the rows, split_cost.md next to it and docs/results.head.md.

    ``seeds``: study -> number of seeds, where it is not the default.
    """
    rows = read_rows(rows_file)
    frames = {
        name: results(study.plan((seeds or {}).get(name, study.seeds)), rows)
        for name, study in STUDIES.items()
        if study.images_from == "test"
    }
    cost = rows_file.with_name("split_cost.md")
    parts = {
        "made": provenance_sentence(list(rows.values())),
        "evidence": evidence_tables(frames["offline"]),
        "paper": evidence_tables(frames["paper"]),
        "escape": escape_table(frames["escape"]),
        "forms": forms_table(frames["escape"]),
        "split_cost": cost.read_text().strip() if cost.exists() else f"{NOT_RUN.capitalize()}.",
    }
    return _write("results", parts, rows_file)


def write_development(rows_file: Path, seeds: dict[str, int] | None = None, runs_dir: Path | None = None) -> Path:
    """Write development.md next to the rows file, from the rows and docs/development.head.md.

    Args:
        rows_file: The file with the rows.
        seeds: study -> number of seeds, where it is not the default.
        runs_dir: The folder of runs, with the teachers that were added on this machine.
    """
    rows, study = read_rows(rows_file, runs_dir), STUDIES["development"]
    cells = study.plan((seeds or {}).get("development", study.seeds))
    parts = {
        "made": provenance_sentence(list(rows.values())),
        "aims": aims_table(cells, rows),
        "table": development_table(results(cells, rows, study.images_from)),
    }
    return _write("development", parts, rows_file)


def aims_table(cells: list[PlannedRun], rows: dict[Hashable, dict[str, Any]]) -> str:
    """How many runs of each form reach each aim, against the control with the same seeds, as a Markdown table.

    Rows of validation images. Only NTL teachers, and only runs whose control was measured, too.
    """
    heads = ("teacher", "form", "runs", "IAcc", "OOD metric", "recall of every class", "no over-forgetting", "all")
    table = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    groups: dict[tuple[str, str], list[tuple[bool, ...]]] = {}
    for cell in cells:
        row = rows.get(outcome_key(cell.spec, "validation"))
        control = rows.get(outcome_key(control_spec(cell), "validation"))
        if cell.kind == "NTL" and row and control:
            groups.setdefault((cell.spec.teacher, cell.form), []).append(_aims_reached(cell, row, control))
    teachers, forms = (list(dict.fromkeys(names)) for names in zip(*groups, strict=True)) if groups else ([], [])
    for teacher, form in itertools.product(teachers, forms):
        if not (runs := groups.get((teacher, form))):
            continue
        reached = [sum(aims) for aims in zip(*runs, strict=True)]
        counts = " | ".join(f"{count} of {len(runs)}" for count in (*reached, sum(map(all, runs))))
        table.append(f"| `{teacher}` | {form} | {len(runs)} | {counts} |")
    return "\n".join(table)


def _aims_reached(cell: PlannedRun, row: dict[str, Any], control: dict[str, Any]) -> tuple[bool, ...]:
    """Whether the run has the IAcc, the OOD metric and the recalls of the aim, and has not over-forgotten."""
    metric = find_pair(cell.pair).metric
    on_ood, of_control = row["metrics"][metric], control["metrics"][metric]
    return (
        row["metrics"]["iacc"] >= control["metrics"]["iacc"] - AIMED_IACC,
        on_ood >= AIMED_OACC * of_control if metric == "oacc" else on_ood <= of_control + AIMED_TRAP,
        all(own >= AIMED_RECALL * its for own, its in zip(row["recalls"], control["recalls"], strict=True)),
        _outcome(cell.spec, row, control) != "over-forgetting",
    )


def development_table(frame: pd.DataFrame) -> str:
    """Each form from each teacher, with its single seeds, as a Markdown table."""
    columns = (
        "form",
        "seeds",
        "IAcc ↑",
        "OOD metric",
        "its value",
        "trapped",
        "trap label's recall ↑",
        "worst class ↑",
    )
    heads = ("teacher", *columns, "trap found", "by seed: IAcc; OOD metric")
    table = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for _, line in summary(frame).iterrows():
        texts = _summary_texts(line)
        runs = frame[(frame.teacher == line.teacher) & (frame.form == line.form)].dropna(subset="iacc")
        by_seed = [f"{run.seed}: {run.iacc:.1f}; {run.other:.1f}" for _, run in runs.iterrows()]
        sought, target = runs.dropna(subset="trap_found"), find_pair(line.pair).target
        found = f"{int(sought.trap_found.sum())} of {len(sought)}" if len(sought) else "–"
        if wrong := sum(run.trap_found and target not in (None, run.trap_label) for run in sought.itertuples()):
            found += f", not the target's label on {wrong}"
        cells = [f"`{line.teacher}`", *(texts[column] for column in columns), found, "<br>".join(by_seed)]
        table.append(f"| {' | '.join(cells)} |")
    return "\n".join(table)


def _write(name: str, parts: dict[str, str], rows_file: Path) -> Path:
    """Write ``name``.md next to the rows file: docs/``name``.head.md with the parts in their places."""
    text = (DOCS / f"{name}.head.md").read_text()
    for part, content in parts.items():
        text = text.replace(f"{{{{{part}}}}}", content)
    page = rows_file.with_name(f"{name}.md")
    unfinished = page.with_suffix(".md.part")
    unfinished.write_text(text)
    unfinished.replace(page)
    return page
