"""How often the split's attack agrees with a far stronger one, for each shipped teacher.

    python -m benchmarks.attack_agreement [--json]

On real ID and OOD images, of validation because settings of the attack are chosen by it, on synthetic images of a short
plain run (``quick``, DFQ), and on uniform noise, at several ε: the share of robust images by the split's attack
(`flips`) and by `strong_flips`, and every disagreement with its direction. An image that the strong attack flips at a
smaller ε counts as flipped at a larger one. Writes docs/attack_agreement.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from atesc_core.device import describe, memory_format
from atesc_core.distillation.loop import one_round
from atesc_core.distillation.state import Distillation
from atesc_core.domains.loading import load_pair
from atesc_core.robustness.attack import Model, flips
from atesc_core.robustness.scores import predictions
from atesc_core.robustness.strong_attack import strong_flips
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import SplitSpec
from atesc_core.study.rows import DOCS
from atesc_core.teachers import list_teachers
from atesc_core.teachers.zoo import load_teacher
from benchmarks.split_cost import per_cent, timed

FILE = DOCS / "attack_agreement.md"
EPSILONS = (2.0, 4.0, 8.0, 16.0)  # 1/255
IMAGES = 100  # of each source
ROUNDS = 20  # of the plain run
STEPS, RESTARTS = 50, 2  # of the strong attack, for each of its three losses
SEED = 0
SOURCES = {"id": "real ID", "ood": "real OOD", "synthetic": "synthetic", "noise": "noise"}


def sources(teacher: str) -> tuple[Model, dict[str, Tensor]]:
    """The teacher's model, and IMAGES images of each source, (N, 3, H, W) in [0, 1]."""
    spec = from_preset("quick", teacher, device="cpu", seed=SEED, **{"escape.kind": "none"})
    loaded = load_teacher(teacher)
    run = Distillation(spec, loaded)
    for number in range(1, ROUNDS + 1):
        one_round(run, 1, number)
    pair = load_pair(loaded.card.pair, loaded.card.image_side)
    random = torch.Generator().manual_seed(SEED)
    side = loaded.card.image_side

    def drawn(images: Tensor) -> Tensor:
        return images[torch.randperm(len(images), generator=random)[:IMAGES]]

    images = {
        "id": drawn(pair.id.validation.images),
        "ood": drawn(pair.ood.validation.images),
        "synthetic": run.synthesizer.sample(IMAGES),
        "noise": torch.rand(IMAGES, 3, side, side, generator=random),
    }
    layout = memory_format(run.device)
    return run.teacher, {name: x.contiguous(memory_format=layout) for name, x in images.items()}


def agreement(model: Model, x: Tensor, epsilons: Sequence[float], steps: int) -> list[dict[str, float]]:
    """A row for each ε (1/255, ascending): both attacks on x, (N, 3, H, W).

    Returns:
        ``robust`` and ``robust_strong`` in per cent; ``agree`` in per cent; the images that only the strong attack
        flips, ``only_strong``, and those that only the split's does, ``only_split``; and ``cost``, the CPU time of the
        split's attack over that of one forward pass.
    """
    y, forward = timed(partial(predictions, model, x))
    random = torch.Generator(x.device).manual_seed(SEED)
    strong = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    rows = []
    for epsilon in epsilons:
        left = ~strong
        strong[left] = strong_flips(model, x[left], y[left], epsilon, random, steps=STEPS, restarts=RESTARTS)
        split, seconds = timed(partial(flips, model, x, y, epsilon, steps))
        rows.append(
            {
                "epsilon": epsilon,
                "robust": per_cent(~split),
                "robust_strong": per_cent(~strong),
                "agree": per_cent(split == strong),
                "only_strong": int((strong & ~split).sum()),
                "only_split": int((split & ~strong).sum()),
                "cost": seconds / forward,
            }
        )
    return rows


def measure(teacher: str, steps: int) -> list[dict[str, Any]]:
    """The rows of one teacher, with ``teacher`` and ``source``."""
    model, images = sources(teacher)
    return [
        {"teacher": teacher, "source": source} | row
        for source, x in images.items()
        for row in agreement(model, x, EPSILONS, steps)
    ]


def page(rows: Sequence[dict[str, Any]], steps: int, seconds: float) -> str:
    """The tables, as Markdown."""
    lines = [
        "# The split's attack against a far stronger one",
        "",
        f"`python -m benchmarks.attack_agreement`, on {describe(torch.device('cpu')).summary}, PyTorch "
        f"{torch.__version__}, {seconds / 60:.0f} min. Seed {SEED}; {IMAGES} images of each source: real ones of "
        f"validation, synthetic ones of a plain run (`quick`, DFQ, {ROUNDS} rounds), uniform noise. The split's attack "
        f"takes one step of the whole budget and up to {steps} more; the strong one takes {STEPS} steps from each of "
        f"{RESTARTS} starts on each of three losses.",
        "",
        "| source | ε, 1/255 | images | agree | only the strong attack flips | only the split's flips "
        "| cost, forward passes |",
        "|---" * 7 + "|",
    ]
    for source, name in SOURCES.items():
        for epsilon in EPSILONS:
            of_cell = [row for row in rows if (row["source"], row["epsilon"]) == (source, epsilon)]
            lines.append(
                f"| {name} | {epsilon:g} | {IMAGES * len(of_cell)} | {_mean(of_cell, 'agree'):.1f} % "
                f"| {sum(row['only_strong'] for row in of_cell)} | {sum(row['only_split'] for row in of_cell)} "
                f"| {_mean(of_cell, 'cost'):.1f} |"
            )
    lines += [
        "",
        f"All: **{_mean(rows, 'agree'):.1f} %** of {IMAGES * len(rows)} decisions agree (lowest "
        f"{min(row['agree'] for row in rows):.0f} %). Each teacher:",
        "",
        "| teacher | source | ε, 1/255 | robust, split's attack | robust, strong attack | agree "
        "| only the strong attack flips | only the split's flips |",
        "|---" * 8 + "|",
    ]
    lines += [
        f"| `{row['teacher']}` | {SOURCES[row['source']]} | {row['epsilon']:g} | {row['robust']:.0f} % "
        f"| {row['robust_strong']:.0f} % | {row['agree']:.0f} % | {row['only_strong']} | {row['only_split']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return sum(float(row[name]) for row in rows) / len(rows)


def main(as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False) -> None:
    """Measure every shipped teacher, then write docs/attack_agreement.md."""
    torch.set_num_threads(1)
    began, steps = time.monotonic(), SplitSpec().steps
    rows = []
    for card in list_teachers():
        rows += measure(card.name, steps)
        print(f"{card.name}: {_mean(rows[-len(SOURCES) * len(EPSILONS) :], 'agree'):.1f} % agree", flush=True)
    FILE.write_text(page(rows, steps, time.monotonic() - began))
    if as_json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    typer.run(main)
