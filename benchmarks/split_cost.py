"""What the split costs and how often it agrees with a far stronger attack, for each shipped NTL teacher.

    python -m benchmarks.split_cost [--json]

On synthetic images of a short plain run (``quick``, DFQ): the split's attack (`flips`), PGD-4 and PGD-20, each against
`strong_flips` (benchmarks/attack_agreement.py has real images and more budgets). Then, for each synthesizer, rounds of
a plain run and of an ATEsc run in turn, both going on from that student. One thread, its CPU time (other work on the
machine does not count), side by side, medians. Writes docs/split_cost.md, which docs/results.md shows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from atesc_core.device import describe, memory_format
from atesc_core.distillation.loop import one_round
from atesc_core.distillation.state import Distillation
from atesc_core.robustness.attack import flips, pgd
from atesc_core.robustness.scores import predictions
from atesc_core.robustness.strong_attack import strong_flips
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.study import write_page
from atesc_core.study.plan import OFFLINE_PAIRS, SYNTHESIZERS
from atesc_core.study.rows import ROWS
from atesc_core.teachers.zoo import load_teacher
from atesc_core.vocabulary import SYNTHESIZER_NAMES

TEACHERS = tuple(f"{pair}-ntl" for pair in OFFLINE_PAIRS)
IMAGES = 480  # attacked images, in batches of the size that the loop uses
PLAIN_EPOCHS = 1
ROUNDS = 7  # timed rounds of each run
BUDGETS = (2.0, 4.0)  # ε, in 1/255
AIMS = {"agreement": 99.0, "epoch_ratio": 1.5}

Attack = Callable[[Tensor, Tensor], Tensor]  # images (B, 3, H, W) and the teacher's labels (B,) -> flipped, (B,) bool


def quick(teacher: str, synthesizer: str, escape: str) -> RunSpec:
    """The quick preset on the CPU with this teacher, synthesizer and escape."""
    return from_preset("quick", teacher, device="cpu", **{"synthesis.kind": synthesizer, "escape.kind": escape})


def measure(teacher: str) -> dict[str, Any]:
    """One teacher's row: agreement and time of the attacks, and the cost of a splitting epoch.

    The attacks are measured at both budgets, on DFQ's images; the cost with each synthesizer.
    """
    row: dict[str, Any] = {"teacher": teacher, "images": IMAGES, "costs": []}
    for synthesizer in SYNTHESIZERS:
        plain = Distillation(quick(teacher, synthesizer, "none"), load_teacher(teacher))
        for epoch in range(1, PLAIN_EPOCHS + 1):
            for round_ in range(1, plain.spec.rounds + 1):
                one_round(plain, epoch, round_)
        atesc = Distillation(quick(teacher, synthesizer, "atesc"), load_teacher(teacher), plain.state_dict())
        calibrating = 0.0
        if atesc.threshold is None:
            atesc.threshold, calibrating = timed(atesc.calibrate)
        if synthesizer == "dfq":
            x = plain.synthesizer.sample(IMAGES).contiguous(memory_format=memory_format(plain.device))
            row["budgets"] = [agreement(plain, x, epsilon, plain.spec.split.steps) for epsilon in BUDGETS]
        row["costs"].append({"synthesizer": synthesizer} | cost(plain, atesc, ROUNDS, calibrating))
    return row


def agreement(run: Distillation, x: Tensor, epsilon: float, steps: int) -> dict[str, float]:
    """Per cent of x, (B, 3, H, W), on which each attack agrees with the strong one; and its time relative to PGD-20.

    All attacks have the budget ``epsilon`` (1/255).
    """

    def by_pgd(steps: int, seed: int) -> Attack:
        random = torch.Generator(x.device).manual_seed(seed)
        return lambda x, y: pgd(run.teacher, x, y, epsilon, steps, random).flipped

    attacks: dict[str, Attack] = {
        "flips": lambda x, y: flips(run.teacher, x, y, epsilon, steps),
        "pgd4": by_pgd(4, 1),
        "pgd20": by_pgd(20, 2),
    }
    random, strong = torch.Generator(x.device).manual_seed(0), []
    flipped: dict[str, list[Tensor]] = {name: [] for name in attacks}
    seconds: dict[str, list[float]] = {name: [] for name in attacks}
    for part in torch.split(x, run.spec.batch_size):
        y = predictions(run.teacher, part)
        strong.append(strong_flips(run.teacher, part, y, epsilon, random))
        for name, attack in attacks.items():
            flipped_part, cpu_seconds = timed(partial(attack, part, y))
            flipped[name].append(flipped_part)
            seconds[name].append(cpu_seconds)
    reference = torch.cat(strong)
    row = {"epsilon": epsilon, "robust": per_cent(~reference)}
    for name, parts in flipped.items():
        row |= {
            name: per_cent(torch.cat(parts) == reference),
            f"{name}_time": median(seconds[name]) / median(seconds["pgd20"]),
        }
    return row


def cost(plain: Distillation, atesc: Distillation, rounds: int, calibrating: float) -> dict[str, float]:
    """The cost of a splitting epoch and of a whole run over the cost without a split.

    Rounds of both are timed alternately, first those of splitting epochs. ``run_ratio`` is for the whole run: plain
    epochs, the threshold (``calibrating`` seconds), the first split, and splitting epochs. It counts training only,
    without measuring the student.
    """
    spec = atesc.spec
    epoch = spec.escape.warmup_epochs + 1
    _, first = timed(partial(one_round, atesc, epoch, 1))
    one_round(plain, epoch, 1)
    seconds: dict[Distillation, list[float]] = {plain: [], atesc: []}
    for round_ in range(2, rounds + 2):
        for run in seconds:
            seconds[run].append(timed(partial(one_round, run, epoch, round_))[1])
    plain_round, atesc_round = median(seconds[plain]), median(seconds[atesc])
    splitting = spec.epochs - spec.escape.warmup_epochs
    once = calibrating + max(first - atesc_round, 0)
    whole = (spec.escape.warmup_epochs * plain_round + splitting * atesc_round) * spec.rounds + once
    return {
        "plain_round_s": plain_round,
        "atesc_round_s": atesc_round,
        "once_s": once,
        "epoch_ratio": atesc_round / plain_round,
        "run_ratio": whole / (spec.epochs * spec.rounds * plain_round),
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of ``work``, and its CPU time in seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def per_cent(hits: Tensor) -> float:
    """Share of true entries of a bool tensor, in per cent."""
    return 100 * hits.float().mean().item()


def overall(teachers: list[dict[str, Any]]) -> dict[str, Any]:
    """All rows, with their means, which are compared with the aims.

    Agreement is a mean over images and both budgets. The ratios of epoch times are means for each synthesizer;
    ``epoch_ratio`` is that of DFQ, the most expensive one, because it splits every batch.
    """
    budgets = [budget for row in teachers for budget in row["budgets"]]
    ratios = {
        name: {
            synthesizer: mean(
                cost[name] for row in teachers for cost in row["costs"] if cost["synthesizer"] == synthesizer
            )
            for synthesizer in SYNTHESIZERS
        }
        for name in ("epoch_ratio", "run_ratio")
    }
    return {
        "device": describe(torch.device("cpu")).summary,
        "torch": torch.__version__,
        "threads": 1,
        "images": sum(row["images"] for row in teachers),
        "agreement": mean(row["flips"] for row in budgets),
        "agreement_lowest": min(row["flips"] for row in budgets),
        "pgd20": mean(row["pgd20"] for row in budgets),
        "epoch_ratio": ratios["epoch_ratio"]["dfq"],
        "run_ratio": ratios["run_ratio"]["dfq"],
        "epoch_ratios": ratios["epoch_ratio"],
        "run_ratios": ratios["run_ratio"],
        "aims": AIMS,
        "teachers": teachers,
    }


def page(results: dict[str, Any]) -> str:
    """Both tables and the comparison with the aims, as Markdown."""
    lines = [
        f"`python -m benchmarks.split_cost`, on {results['device']}, CPU time of one thread, "
        f"PyTorch {results['torch']}. Synthetic images of {PLAIN_EPOCHS} plain epoch of `quick`, DFQ. "
        "*Flips* is the split's attack; *strong* takes 100 steps from each of four starts on each of three losses.",
        "",
        "| teacher | images | ε, 1/255 | robust, strong | agree with strong: flips | PGD-4 | PGD-20 "
        "| time over PGD-20's: flips, PGD-4 |",
        "|---" * 8 + "|",
    ]
    for row in results["teachers"]:
        for budget in row["budgets"]:
            lines.append(
                f"| `{row['teacher']}` | {row['images']} | {budget['epsilon']:g} "
                f"| {budget['robust']:.1f} % | {budget['flips']:.1f} % | {budget['pgd4']:.1f} % "
                f"| {budget['pgd20']:.1f} % | {budget['flips_time']:.2f}, {budget['pgd4_time']:.2f} |"
            )
    lines += [
        "",
        "A round of a plain run and one of ATEsc's splitting epochs, in turn:",
        "",
        "| synthesizer | teacher | plain round | ATEsc round | splitting epoch / plain epoch | whole run / plain run |",
        "|---" * 6 + "|",
    ]
    for index, synthesizer in enumerate(SYNTHESIZERS):
        for row in results["teachers"]:
            cost = row["costs"][index]
            lines.append(
                f"| {SYNTHESIZER_NAMES[synthesizer]} | `{row['teacher']}` | {cost['plain_round_s']:.2f} s "
                f"| {cost['atesc_round_s']:.2f} s | {cost['epoch_ratio']:.2f} | {cost['run_ratio']:.2f} |"
            )
    lines += [
        "",
        f"Agreement, mean of both budgets: **{results['agreement']:.1f} %** (lowest "
        f"{results['agreement_lowest']:.1f}; PGD-20 {results['pgd20']:.1f}; aim {AIMS['agreement']:.0f}). "
        f"Splitting epoch over plain epoch, mean over teachers: {_by_synthesizer(results['epoch_ratios'])} "
        f"(aim {AIMS['epoch_ratio']}). The whole run, with its plain epochs and the threshold, and without "
        f"measuring the student: {_by_synthesizer(results['run_ratios'])}.",
    ]
    return "\n".join(lines) + "\n"


def _by_synthesizer(ratios: dict[str, float]) -> str:
    return ", ".join(f"{SYNTHESIZER_NAMES[name]} **{ratio:.2f}**" for name, ratio in ratios.items())


def main(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
    rows: Annotated[Path, typer.Option(help="The studies' rows; both pages are written beside them.")] = ROWS,
) -> None:
    """Measure every teacher, then write split_cost.md and results.md next to the rows."""
    torch.set_num_threads(1)
    results = overall([measure(teacher) for teacher in TEACHERS])
    rows.with_name("split_cost.md").write_text(page(results))
    write_page(rows)
    print(page(results))
    if as_json:
        print(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
