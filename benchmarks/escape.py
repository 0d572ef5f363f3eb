"""Does the escape work? Plain DFQ against ATEsc on the offline pairs, by seed and batch size.

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
SEEDS, BATCHES, ESCAPES = (0, 1, 2), (96, 144), ("none", "atesc")
MEASURED = ("mnistm-mnist", "mnistm-fashion", "mnistm-badnet_sq")  # the pairs with shipped teachers
OTHER = {"oacc": "OAcc ↑", "olacc": "OLAcc ↓", "asr": "ASR ↓"}
SETTINGS = {"close": "close-set", "open": "open-set", "backdoor": "backdoor"}

app = typer.Typer(add_completion=False, no_args_is_help=True)


def specs() -> list[RunSpec]:
    return [from_preset("quick", f"{pair}-ntl", device="cpu", seed=seed, batch_size=batch, **{"escape.kind": escape})
            for escape in ESCAPES for batch in BATCHES for seed in SEEDS for pair in MEASURED]


def measured() -> list[dict]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


@app.command()
def run(part: Annotated[str, typer.Option(help="i/n: this process takes every n-th run, from the i-th")] = "1/1"):
    first, parts = map(int, part.split("/"))
    torch.set_num_threads(1)
    for spec in specs()[first - 1 :: parts]:
        if key(spec.model_dump(mode="json")) in (key(row["spec"]) for row in measured()):
            continue
        row = one(spec)
        with FileLock(f"{ROWS}.lock"), ROWS.open("a") as rows:
            rows.write(json.dumps(row) + "\n")
        print(spec.teacher, spec.seed, spec.batch_size, spec.escape.kind, row["metrics"], f"{row['seconds']:.0f} s",
              flush=True)


def key(spec: dict) -> dict:
    """What decides a run's outcome: a plain run has no use for the split's and the escape's settings."""
    return {name: value for name, value in spec.items() if name not in ("split", "escape")} | (
        {} if spec["escape"]["kind"] == "none" else {"split": spec["split"], "escape": spec["escape"]})


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
    """docs/results.md: the table, written from the rows alone."""
    rows = pd.DataFrame([
        {"pair": row["spec"]["teacher"].removesuffix("-ntl"), "batch": row["spec"]["batch_size"],
         "seed": row["spec"]["seed"], "escape": row["spec"]["escape"]["kind"], "iacc": row["metrics"]["iacc"],
         "other": next(value for name, value in row["metrics"].items() if name != "iacc"),
         "threshold": row["threshold"]} for row in measured()])
    lines = ["| setting | KD batch | seeds | IAcc ↑ plain | IAcc ↑ ATEsc | OOD metric | plain | ATEsc "
             "| OOD metric by seed: plain → ATEsc |", "|---|---|---|---|---|---|---|---|---|"]
    for (pair, batch), group in rows.groupby(["pair", "batch"], sort=False):
        runs = group.pivot(index="seed", columns="escape", values=["iacc", "other"]).dropna()
        if runs.empty:
            continue
        cells = {key: spread(runs[key]) for key in runs.columns}
        pairs = ", ".join(f"{row[('other', 'none')]:.1f} → {row[('other', 'atesc')]:.1f}" for _, row in runs.iterrows())
        setting = PAIRS[pair]
        lines.append(f"| {SETTINGS[setting.setting]} `{pair}` | {batch} | {len(runs)} | {cells['iacc', 'none']} "
                     f"| {cells['iacc', 'atesc']} | {OTHER[setting.metric]} | {cells['other', 'none']} "
                     f"| {cells['other', 'atesc']} | {pairs} |")
    TABLE.write_text(HEAD.read_text().replace("{{table}}", "\n".join(lines)))
    print(TABLE.read_text())


def spread(values: pd.Series) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std():.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    app()
