"""Time of a round: by operator, and in ratio to the DFQ loop that this field uses.

    python -m benchmarks.round [--rounds 9] [--teacher mnistm-mnist-ntl] [--preset quick] [--device cpu] [--json]

Rounds of three loops in turn, in one process, with the same networks, batch and number of steps: a plain round of this
lab, one of its splitting ATEsc rounds, and a plain round as the published loop of DFQ does it (``PublishedLoop``).
Medians of the CPU time of one thread, or, on CUDA, of the time until the device is done. Then a profile of plain rounds
by PyTorch's operators, with the share of the time that is outside all of them. How often the split's attack agrees with
far stronger ones: ``benchmarks.split_cost``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from atesc_core.device import describe
from atesc_core.distillation.loop import one_round
from atesc_core.distillation.state import Distillation
from atesc_core.models import Generator, build
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import DFQSpec, RunSpec
from atesc_core.teachers.zoo import Teacher, load_teacher

AIMS = {"plain over published": 0.6, "splitting over plain": 1.35}
PROFILED = 3  # rounds
SHOWN = 12  # operators
WARM_ROUNDS = 20  # of the run that splits, before its rounds are timed


class PublishedLoop:
    """A round of DFQ as published code does it: one generator's step on R_BN's hooks, then the student's steps.

    Written from the description of zju-vipa's loop: contiguous tensors, each layer's variance from a transposed copy of
    its input, backward passes to all weights that ask for gradients (here the teacher's do not: it is frozen, which
    favours the published loop), and losses read at each step.
    """

    def __init__(self, spec: RunSpec, teacher: Teacher, device: torch.device):
        assert isinstance(spec.synthesis, DFQSpec)
        self.spec, self.settings, self.device = spec, spec.synthesis, device
        # Copies: the lab's own are in another memory format.
        self.teacher = build(teacher.card.arch, teacher.card.num_classes, 0)
        self.teacher.load_state_dict(teacher.model.state_dict())
        self.teacher = self.teacher.to(device).to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
        self.student = build(spec.student, teacher.card.num_classes, spec.seed).to(device)
        self.generator = Generator(
            self.settings.latent, teacher.card.image_side, self.settings.width, spec.seed, large=True
        ).to(device)
        self.g_optimiser = torch.optim.Adam(self.generator.parameters(), lr=self.settings.lr, betas=(0.5, 0.999))
        self.s_optimiser = torch.optim.SGD(
            self.student.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay
        )
        self.distances: list[Tensor] = []
        for layer in self.teacher.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(self._hook)

    def _hook(self, layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        x = inputs[0]
        mean = x.mean([0, 2, 3])
        variance = x.permute(1, 0, 2, 3).contiguous().view(x.shape[1], -1).var(1, unbiased=False)
        self.distances.append((layer.running_var - variance).norm(2) + (layer.running_mean - mean).norm(2))

    def round(self) -> float:
        """The generator's steps, then the student's. Returns the last loss."""
        settings, batch = self.settings, self.spec.batch_size
        self.student.eval()
        self.generator.train()
        for _ in range(settings.steps):
            self.distances.clear()
            x = self.generator(torch.randn(batch, settings.latent, device=self.device))
            t, s = self.teacher(x), self.student(x)
            p = t.softmax(1).mean(0)
            loss = (
                settings.bn * torch.stack(self.distances).sum()
                + settings.onehot * F.cross_entropy(t, t.argmax(1))
                - settings.adversarial * F.kl_div(s.log_softmax(1), t.softmax(1), reduction="batchmean")
                + settings.balance * (p * p.log()).sum()
            )
            self.g_optimiser.zero_grad()
            torch.autograd.backward(loss)
            self.g_optimiser.step()
        self.student.train()
        self.generator.eval()
        for _ in range(self.spec.student_steps):
            with torch.no_grad():
                x = self.generator(torch.randn(batch, settings.latent, device=self.device))
                t = self.teacher(x)
            loss = F.kl_div(self.student(x).log_softmax(1), t.softmax(1), reduction="batchmean")
            self.s_optimiser.zero_grad()
            torch.autograd.backward(loss)
            self.s_optimiser.step()
            last = loss.item()
        return last


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """CPU time of ``work`` in this process; on CUDA, the time until the device has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - began
    began = time.process_time()
    work()
    return time.process_time() - began


def ratios(preset: str, teacher: str, device: str, repeats: int, **changes: Any) -> dict[str, Any]:
    """Median seconds of a round of each loop, and their ratios, of rounds in turn."""

    def run(escape: str) -> Distillation:
        spec = from_preset(preset, teacher, device=device, **changes | {"escape.kind": escape})
        return Distillation(spec, load_teacher(teacher))

    plain, atesc = run("none"), run("atesc")
    published = PublishedLoop(plain.spec, load_teacher(teacher), plain.device)
    epoch = atesc.spec.escape.warmup_epochs + 1
    for number in range(1, 1 + min(WARM_ROUNDS, atesc.spec.rounds)):  # images as in a run's first epoch
        one_round(atesc, 1, number)
    atesc.threshold = atesc.calibrate() if atesc.threshold is None else atesc.threshold
    loops: dict[str, Callable[[int], Any]] = {
        "plain": lambda number: one_round(plain, 1, number),
        "splitting": lambda number: one_round(atesc, epoch, number),
        "published": lambda number: published.round(),
    }
    times: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(repeats + 2):
        for name, work in loops.items():
            spent = seconds(partial(work, number + 1), plain.device)
            if number >= 2:  # the first ones choose kernels and fill caches
                times[name].append(spent)
    medians = {name: median(each) for name, each in times.items()}
    return {
        "seconds": medians,
        "plain over published": medians["plain"] / medians["published"],
        "splitting over plain": medians["splitting"] / medians["plain"],
        "operators": operators(plain),
    }


def operators(run: Distillation) -> dict[str, float]:
    """Per cent of the time of plain rounds in each operator itself, the most expensive first; last: outside of all."""
    one_round(run, 1, 1)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        began = time.perf_counter()
        for number in range(PROFILED):
            one_round(run, 1, number + 1)
        whole = time.perf_counter() - began
    own = {event.key: event.self_cpu_time_total / 1e6 for event in profiled.key_averages()}
    shares = {name: 100 * spent / whole for name, spent in sorted(own.items(), key=lambda item: -item[1])[:SHOWN]}
    return shares | {"outside": 100 * max(0.0, 1 - sum(own.values()) / whole)}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds of each loop.")] = 9,
    teacher: Annotated[str, typer.Option(help="Name of the teacher.")] = "mnistm-mnist-ntl",
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "quick",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    result = ratios(preset, teacher, device, rounds)
    machine = describe(torch.device(device)).summary
    print(f"{machine}, PyTorch {torch.__version__}, one thread; {rounds} rounds of {preset}")
    for name, spent in result["seconds"].items():
        print(f"{name:>10} round: {spent:.3f} s")
    for name, aim in AIMS.items():
        print(f"{name}: {result[name]:.2f} (aim {aim})")
    for name, share in result["operators"].items():
        print(f"{share:5.1f} % {name}")
    if as_json:
        print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
