"""What a GPU does with the lab's runs; ``benchmarks/gpu.sh`` calls it with the other checks that need one.

    python -m benchmarks.gpu [--device cuda] [--preset full] [--rounds 20]

For each synthesizer, rounds of a plain and of an ATEsc run: images that the student learns from per second, the largest
memory of the device, and whether every loss is finite. Then, with DFQ: rounds with the three networks compiled
(``torch.compile``, which on CUDA records CUDA graphs) over rounds as they are, in turn, with what compiling takes; and
the split in bfloat16 against float32, on the same images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from atesc_core.device import describe, pick_device
from atesc_core.distillation.loop import one_round
from atesc_core.distillation.state import Distillation
from atesc_core.robustness.attack import flips
from atesc_core.robustness.scores import predictions
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.study.plan import SYNTHESIZERS
from atesc_core.teachers.zoo import load_teacher
from atesc_core.vocabulary import SYNTHESIZER_NAMES
from benchmarks.round import seconds

TEACHER = "mnistm-mnist-ntl"
WARM_UP = 2  # rounds that are not timed: they choose kernels and fill caches
BUDGETS = (2.0, 4.0)  # ε, in 1/255
IMAGES = 1024  # of the split


def started(preset: str, device: str, synthesizer: str, escape: str, **changes: Any) -> Distillation:
    """A run in which splitting rounds can begin at once."""
    changes |= {"synthesis.kind": synthesizer, "escape.kind": escape}
    run = Distillation(from_preset(preset, TEACHER, device=device, **changes), load_teacher(TEACHER))
    if escape == "atesc":
        run.threshold = run.calibrate() if run.threshold is None else run.threshold
    return run


def throughput(run: Distillation, rounds: int) -> dict[str, Any]:
    """Images per second over ``rounds`` rounds, GB of the device at most, and whether all losses are finite."""
    epoch = run.spec.escape.warmup_epochs + 1 if run.spec.escape.splits else 1
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times: list[float] = []
    losses: list[float] = []
    for number in range(1, WARM_UP + rounds + 1):
        began = time.perf_counter()
        done = one_round(run, epoch, number)  # it reads the losses, so the device is done
        if number > WARM_UP:
            times.append(time.perf_counter() - began)
        losses += done.losses.values()
    return {
        "images_per_s": run.spec.student_steps * run.spec.batch_size / median(times),
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if run.device.type == "cuda" else math.nan,
        "finite": all(map(math.isfinite, losses)),
    }


def compiled(plain: Distillation, other: Distillation, rounds: int, backend: str) -> tuple[float, float]:
    """Time of a round with compiled networks over one without, in turn, and seconds that compiling takes.

    ``other``: a run like ``plain``, whose networks are compiled.
    """
    networks: list[nn.Module] = [other.teacher, other.student, other.synthesizer.generator]
    mode = "reduce-overhead" if backend == "inductor" and other.device.type == "cuda" else None
    for network in networks:
        network.compile(backend=backend, mode=mode)
    compiling = sum(seconds(partial(one_round, other, 1, number), other.device) for number in range(1, WARM_UP + 1))
    for number in range(1, WARM_UP + 1):
        one_round(plain, 1, number)
    times: dict[Distillation, list[float]] = {plain: [], other: []}
    for number in range(WARM_UP + 1, WARM_UP + rounds + 1):
        for run in times:
            times[run].append(seconds(partial(one_round, run, 1, number), run.device))
    return median(times[other]) / median(times[plain]), compiling


def split_precision(run: Distillation, images: int) -> dict[float, tuple[float, float]]:
    """ε -> per cent of images on which bfloat16 and float32 split alike, and the time of the one over the other's."""
    x = run.synthesizer.sample(images)
    y = predictions(run.teacher, x)

    def in_bfloat16(batch: Tensor) -> Tensor:
        with torch.autocast(run.device.type, dtype=torch.bfloat16):
            logits: Tensor = run.teacher(batch)
        return logits

    def split(model: Callable[[Tensor], Tensor], epsilon: float) -> Tensor:
        return flips(model, x, y, epsilon, run.spec.split.steps)

    found = {}
    for epsilon in BUDGETS:
        times: dict[Callable[[Tensor], Tensor], list[float]] = {run.teacher: [], in_bfloat16: []}
        for _ in range(3):
            for model, spent in times.items():
                spent.append(seconds(partial(split, model, epsilon), run.device))
        same = (split(in_bfloat16, epsilon) == split(run.teacher, epsilon)).float().mean().item()
        found[epsilon] = 100 * same, median(times[in_bfloat16]) / median(times[run.teacher])
    return found


def report(preset: str, device: str, repeats: int, images: int, backend: str, **changes: Any) -> list[str]:
    """All measurements, as lines of Markdown. ``changes``: of every run's settings."""
    lines = [
        f"{describe(pick_device(device)).summary}, PyTorch {torch.__version__}; preset `{preset}`, {repeats} rounds.",
        "",
        "| synthesizer | escape | images/s | memory, GB | losses finite |",
        "|---" * 5 + "|",
    ]
    for synthesizer in SYNTHESIZERS:
        for escape in ("none", "atesc"):
            row = throughput(started(preset, device, synthesizer, escape, **changes), repeats)
            lines.append(
                f"| {SYNTHESIZER_NAMES[synthesizer]} | {escape} | {row['images_per_s']:,.0f} "
                f"| {row['memory_gb']:.2f} | {'yes' if row['finite'] else '**no**'} |"
            )
    runs = [started(preset, device, "dfq", "none", **changes) for _ in range(2)]
    lines.append("")
    try:
        ratio, compiling = compiled(runs[0], runs[1], repeats, backend)
        lines.append(f"Compiled networks: {ratio:.2f} of the time of a round; compiling takes {compiling:.0f} s.")
    except Exception as error:  # a machine without a compiler, or an operator that it cannot compile
        lines.append(f"Compiled networks: not possible here ({type(error).__name__}: {str(error).splitlines()[0]}).")
    for epsilon, (same, time_ratio) in split_precision(runs[0], images).items():
        lines.append(
            f"Split in bfloat16, ε = {epsilon:g}: {same:.1f} % of {images} synthetic images as in float32, "
            f"in {time_ratio:.2f} of the time."
        )
    return lines


def main(
    device: Annotated[str, typer.Option(help="cuda, cpu or mps.")] = "cuda",
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "full",
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds of each run.")] = 20,
    backend: Annotated[str, typer.Option(help="Of torch.compile.")] = "inductor",
) -> None:
    """Measure and print."""
    print("\n".join(report(preset, device, rounds, IMAGES, backend)))


if __name__ == "__main__":
    typer.run(main)
