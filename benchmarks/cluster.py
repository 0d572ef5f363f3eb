"""Two runs of one thread at a time against one alone, by workers and by Ray; and what moves over a network.

    python -m benchmarks.cluster [--repeats 3] [--rounds 20] [--preset quick] [--device cpu]

Parallel efficiency is the time that a run takes alone over the time that it takes beside another, from its first logged
round to its last: 1 if they do not disturb each other. One and two, workers and Ray in turn, in one process, so that
other work on the machine disturbs all alike; medians. Starting is the time from being queued to the first round.
The runs are short ones; on CUDA both are on one GPU. Then the memory of a worker, and the bytes of
each event of a run, as a node sends it.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Literal

import psutil
import ray
import typer

from atesc_core.device import describe, pick_device
from atesc_core.distillation.loop import Controls
from atesc_core.runs import DistillationRun, RunStore, ensure_worker
from atesc_core.runs.cluster import Cluster, ClusterRuns, NodeRun
from atesc_core.runs.worker import run_events
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import RunSpec

TEACHER = "mnistm-mnist-ntl"
POLL_S = 0.2


def spec(rounds: int, seed: int, preset: str, device: str) -> RunSpec:
    """One plain epoch of ``rounds`` rounds, with one thread."""
    return from_preset(preset, TEACHER, device=device, epochs=1, rounds=rounds, seed=seed, threads=1)


@dataclass(frozen=True)
class Times:
    """Means over runs: seconds from a run's first round to its last, and from the queue to its first.

    And the largest memory in MB of a worker: its own alone (USS), and with its share of what it shares (PSS).
    """

    computing: float
    starting: float
    own_mb: float = math.nan
    shared_mb: float = math.nan


def worker_memory() -> tuple[float, float]:
    """MB of the largest worker that this process has started: USS and PSS; 0 without one."""
    found = [(0.0, 0.0)]
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "atesc_core.runs.worker" in process.cmdline():
                memory = process.memory_full_info()
                found.append((memory.uss / 1e6, getattr(memory, "pss", math.nan) / 1e6))
    return max(found)


def timed(store: RunStore, runs: ClusterRuns | None, specs: list[RunSpec]) -> Times:
    """The times of these runs, by workers, or with ``runs`` on Ray."""
    group, memory = (runs or store).create_group(specs), (0.0, 0.0)
    while not store.group(group).ended:
        if runs is None:
            ensure_worker(store.runs_dir)
            memory = max(memory, worker_memory())
        time.sleep(POLL_S)
    logs = []
    for run in store.group(group).runs:
        if run.status != "done":
            raise RuntimeError(f"run {run.id} {run.status}: {run.error}")
        rounds = store.rounds(run.id)["time"]
        logs.append((rounds.iloc[-1] - rounds.iloc[0], rounds.iloc[0] - run.created))
    return Times(fmean(log[0] for log in logs), fmean(log[1] for log in logs), *memory)


def moved(store: RunStore, preset: str) -> dict[str, int]:
    """Event -> bytes of one of a run of ``preset``, as a node sends it."""
    run = store.get(store.create(spec(2, 0, preset, "cpu")))
    store.stop(run.id)
    assert isinstance(run, DistillationRun)
    node, sizes = NodeRun(), {}
    node.controls = Controls()
    node.events = run_events(run, store.runs_dir, node.controls, None)
    while (event := node.next(None, False)[0]) is not None:
        sizes[type(event).__name__] = len(pickle.dumps(event))
    return sizes


def main(
    repeats: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 3,
    rounds: Annotated[int, typer.Option(min=2, help="Of each run.")] = 20,
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "quick",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Measure and print."""
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= {"ATESC_CPU_SLOTS": "2", "ATESC_GPU_SLOTS": "2"}
    times: dict[tuple[Literal["workers", "Ray"], int], list[Times]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=int(device == "cuda"),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        with Cluster() as cluster, ClusterRuns(store, cluster) as runs:
            for _ in range(repeats):
                for count in (1, 2):
                    specs = [spec(rounds, seed, preset, device) for seed in range(count)]
                    times["workers", count].append(timed(store, None, specs))
                    times["Ray", count].append(timed(store, runs, specs))
        print(f"{describe(pick_device(device)).summary}; load {os.getloadavg()[1]:.1f}; {repeats} × {rounds} rounds")
        for by in ("workers", "Ray"):
            alone, beside = (median(each.computing for each in times[by, count]) for count in (1, 2))
            start = median(each.starting for each in times[by, 1])
            print(
                f"{by}: one run {alone:.1f} s, each of two {beside:.1f} s; parallel efficiency {alone / beside:.2f}; "
                f"starting takes {start:.1f} s"
            )
        one, two = (max(times["workers", count], key=lambda each: each.own_mb) for count in (1, 2))
        print(
            f"memory of a worker: {one.own_mb:.0f} MB its own (USS), {one.shared_mb:.0f} MB with its share (PSS); "
            f"of two: {two.own_mb:.0f} and {two.shared_mb:.0f} MB each"
        )
        for each in PRESETS:
            print(f"{each}: " + ", ".join(f"{name} {size:,} B" for name, size in moved(store, each).items()))


if __name__ == "__main__":
    typer.run(main)
