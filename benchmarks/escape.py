"""Does the escape work, and which part of it? On the offline pairs, by seed and batch size.

    python -m benchmarks.escape run [--part 1/2]     measure what is missing; resumable, any number of parts at once
    python -m benchmarks.escape table                write docs/results.md from what was measured

Every row of docs/escape.jsonl is one finished run of the ``quick`` preset, last epoch, with its whole spec.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from filelock import FileLock

from atesc_core.distillation.evaluation import Evaluator
from atesc_core.distillation.events import EpochDone, ThresholdChanged
from atesc_core.distillation.loop import distill
from atesc_core.domains import PAIRS, load_pair
from atesc_core.spec import RunSpec, from_preset
from atesc_core.teachers import load_teacher

DOCS = Path(__file__).parents[1] / "docs"
ROWS, TABLE, HEAD = DOCS / "escape.jsonl", DOCS / "results.md", DOCS / "results.head.md"
SEEDS, BATCHES = (0, 1, 2), (96, 144)
PAPER = {"escape.kind": "atesc", "escape.weight": 1.0, "escape.crowded_only": False, "escape.probes": 0,
         "escape.untrap": False}
FORMS = {"plain": {"escape.kind": "none"}, "ATEsc": {"escape.kind": "atesc"}, "ATEsc, paper's form": PAPER,
         "CKD": {"escape.kind": "ckd"}, "ATEsc without untrap": {"escape.kind": "atesc", "escape.untrap": False}}
MAIN = ("plain", "ATEsc")  # at every batch size; the other forms at the first only
OFFLINE = ("mnistm-fashion", "mnistm-badnet_sq", "mnistm-mnist")  # the pairs with shipped teachers
WATCHING = ("preset", "snapshot_images")  # these do not change what a run comes to
OTHER = {"oacc": "OAcc ↑", "olacc": "OLAcc ↓", "asr": "ASR ↓"}
SETTINGS = {"close": "close-set", "open": "open-set", "backdoor": "backdoor"}

app = typer.Typer(add_completion=False, no_args_is_help=True)


def plan() -> list[tuple[str, RunSpec]]:
    """(form, spec) of every run that the tables ask for, the main table's first."""
    forms = [(form, BATCHES) for form in MAIN] + [(form, BATCHES[:1]) for form in FORMS if form not in MAIN]
    return [(form, from_preset("quick", f"{pair}-ntl", device="cpu", seed=seed, batch_size=batch, **FORMS[form]))
            for form, batches in forms for batch in batches for seed in SEEDS for pair in OFFLINE]


def measured() -> list[dict]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


@app.command()
def run(part: Annotated[str, typer.Option(help="i/n: this process takes every n-th run, from the i-th")] = "1/1"):
    first, parts = map(int, part.split("/"))
    torch.set_num_threads(1)
    for form, spec in plan()[first - 1 :: parts]:
        if find(spec, measured()):
            continue
        row = one(spec)
        with FileLock(f"{ROWS}.lock"), ROWS.open("a") as rows:
            rows.write(json.dumps(row) + "\n")
        print(form, spec.teacher, spec.seed, spec.batch_size, row["metrics"], f"{row['seconds']:.0f} s",
              flush=True)


def key(spec: dict) -> dict:
    """What decides a run's outcome: a plain run has no use for the split's and the escape's settings."""
    return {name: value for name, value in spec.items() if name not in (*WATCHING, "split", "escape")} | (
        {} if spec["escape"]["kind"] == "none" else {"split": spec["split"], "escape": spec["escape"]})


def find(spec: RunSpec, rows: list[dict]) -> dict | None:
    return next((row for row in rows if key(row["spec"]) == key(spec.model_dump(mode="json"))), None)


def one(spec: RunSpec) -> dict:
    """One run to its last epoch."""
    teacher = load_teacher(spec.teacher)
    evaluate = Evaluator(load_pair(teacher.card.pair, teacher.card.image_side), torch.device("cpu"))
    began, threshold, curve = time.monotonic(), None, []
    for event in distill(spec, teacher, evaluate):
        if isinstance(event, ThresholdChanged):
            threshold = event.threshold
        elif isinstance(event, EpochDone):
            curve.append({name: round(value, 2) for name, value in event.metrics.items()})
    return {"spec": spec.model_dump(mode="json"), "metrics": curve[-1], "curve": curve, "threshold": threshold,
            "seconds": round(time.monotonic() - began, 1), "torch": torch.__version__}


@app.command()
def table():
    """docs/results.md: both tables, written from the rows alone."""
    runs, rows = [], measured()
    for form, spec in plan():
        if row := find(spec, rows):
            pair = PAIRS[spec.teacher.removesuffix("-ntl")]
            runs.append({"form": form, "setting": pair.setting, "pair": pair.name, "metric": OTHER[pair.metric],
                         "batch": spec.batch_size, "seed": spec.seed, "iacc": row["metrics"]["iacc"],
                         "other": row["metrics"][pair.metric]})
    frame = pd.DataFrame(runs)
    page = HEAD.read_text().replace("{{table}}", main_table(frame[frame.form.isin(MAIN)]))
    TABLE.write_text(page.replace("{{forms}}", forms_table(frame[frame.batch == BATCHES[0]])))
    print(TABLE.read_text())


def main_table(frame: pd.DataFrame) -> str:
    lines = ["| setting | KD batch | seeds | IAcc ↑ plain | IAcc ↑ ATEsc | OOD metric | plain | ATEsc "
             "| by seed, plain → ATEsc: IAcc; OOD metric |", "|---|---|---|---|---|---|---|---|---|"]
    for (setting, pair, metric, batch), group in frame.groupby(["setting", "pair", "metric", "batch"], sort=False):
        both = group.pivot(index="seed", columns="form", values=["iacc", "other"]).dropna()
        cells = {name: spread(both[name]) for name in both.columns}
        seeds = ["; ".join(f"{row[name, 'plain']:.1f} → {row[name, 'ATEsc']:.1f}" for name in ("iacc", "other"))
                 for _, row in both.iterrows()]
        lines.append(f"| {SETTINGS[setting]} `{pair}` | {batch} | {len(both)} | {cells['iacc', 'plain']} "
                     f"| {cells['iacc', 'ATEsc']} | {metric} | {cells['other', 'plain']} | {cells['other', 'ATEsc']} "
                     f"| {'<br>'.join(seeds)} |")
    return "\n".join(lines)


def forms_table(frame: pd.DataFrame) -> str:
    settings = list(dict.fromkeys(zip(frame.setting, frame.metric, strict=True)))
    lines = ["| form | seeds | " + " | ".join(f"{SETTINGS[setting]}: IAcc ↑, {metric}" for setting, metric in settings)
             + " |", "|---" * (len(settings) + 2) + "|"]
    for form in FORMS:
        groups = [frame[(frame.form == form) & (frame.setting == setting)] for setting, _ in settings]
        cells = [f"{spread(group.iacc)}, {spread(group.other)}" if len(group) else "not run" for group in groups]
        lines.append(f"| {form} | {min(map(len, groups))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: pd.Series) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std():.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    app()
