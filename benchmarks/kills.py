"""Kill workers at random moments, resume their runs, and compare these with one that was never killed.

    python -m benchmarks.kills [--count 100] [--together 2]

Each run is a small one of a shipped teacher, and computes beside others, on a slot of its own. Half of the kills are of
one worker of them, half of all. Compared are every number that a run logged, by round and by epoch, and the weights of
its students, all of them exactly, with those of a run that was alone and never killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import psutil
import torch
import typer
from safetensors.torch import load_file

from atesc_core.runs import RunStore, ensure_worker
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec

TEACHER = "mnistm-fashion-ntl"
SMALL = {"epochs": 4, "rounds": 6, "student_steps": 2, "batch_size": 32, "snapshot_images": 32, "synthesis.steps": 2}
LIMIT_S = 300.0


def main(
    count: Annotated[int, typer.Option(min=1, help="Kills.")] = 100,
    together: Annotated[int, typer.Option(min=1, max=64, help="Runs that compute at once.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Print how many runs were equal to the one that nobody killed, and how many lost an epoch."""
    moments, found = random.Random(seed), Counter[str]()
    os.environ["ATESC_CPU_SLOTS"] = str(together)
    spec = from_preset("quick", TEACHER, device="cpu", **SMALL)
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        whole, seconds = _whole(store, spec)
        for number in range(1, count + 1):
            run_ids = [store.create(spec) for _ in range(together)]
            ensure_worker(store.runs_dir)
            for run_id in run_ids:
                _wait(store, run_id, "running", "done")
            time.sleep(moments.uniform(0, seconds))
            workers = _workers(store)
            killed = workers if number % 2 else moments.sample(workers, min(1, len(workers)))
            _kill(killed)
            found[f"killed {len(killed)} of {len(workers)} workers"] += 1
            kept = {run_id: store.epochs(run_id).drop(columns="time") for run_id in run_ids}
            for run_id in run_ids:
                if store.get(run_id).status == "interrupted":
                    found["interrupted"] += 1
                    store.resume(run_id)
            ensure_worker(store.runs_dir)
            for run_id in run_ids:
                _wait(store, run_id, "done")
                again = store.epochs(run_id).drop(columns="time").head(len(kept[run_id]))
                found["lost an epoch"] += bool(len(kept[run_id])) and not kept[run_id].equals(again)
                found["equal" if _equal(store, run_id, whole) else "different"] += 1
                store.delete(run_id)
            print(f"{number} of {count}: {dict(found)}", flush=True)
        _kill(_workers(store))
        store.close()
    names = ("interrupted", "equal", "different", "lost an epoch")
    print(f"| {count} | {together} | " + " | ".join(str(found[name]) for name in names) + " |")


def _whole(store: RunStore, spec: RunSpec) -> tuple[str, float]:
    """A run that nobody kills, and the seconds that it computes."""
    run_id = store.create(spec)
    ensure_worker(store.runs_dir)
    _wait(store, run_id, "running", "done")
    began = time.monotonic()
    _wait(store, run_id, "done")
    return run_id, time.monotonic() - began


def _wait(store: RunStore, run_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while (run := store.get(run_id)).status not in statuses:
        if run.status == "failed" or time.monotonic() > deadline:
            raise RuntimeError(f"run {run_id} is {run.status}: {run.error}")
        time.sleep(0.02)


def _workers(store: RunStore) -> list[psutil.Process]:
    """The worker processes of this folder."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        command_line = process.info["cmdline"] or []
        if "atesc_core.runs.worker" in command_line and str(store.runs_dir) in command_line:
            processes.append(process)
    return processes


def _kill(workers: list[psutil.Process]) -> None:
    """Kill workers, as the machine's going down does."""
    for process in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
            process.wait(60)


def _equal(store: RunStore, run_id: str, whole: str) -> bool:
    """Whether two runs have logged the same numbers, and have the same students."""
    for read in (store.epochs, store.rounds):
        if not read(run_id).drop(columns="time").equals(read(whole).drop(columns="time")):
            return False
    ours, theirs = store.student_files(run_id), store.student_files(whole)
    return ours.keys() == theirs.keys() and all(_same(path, theirs[epoch]) for epoch, path in ours.items())


def _same(ours: Path, theirs: Path) -> bool:
    first, second = load_file(ours), load_file(theirs)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


if __name__ == "__main__":
    typer.run(main)
