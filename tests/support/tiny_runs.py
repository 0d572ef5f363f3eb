"""A tiny teacher, with which a real run takes a second or two, and a scripted run without any model."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch

from atesc_core.distillation.events import SnapshotTaken, ThresholdChanged
from atesc_core.models import build
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.cards import TeacherCard
from atesc_core.teachers.zoo import save_teacher
from atesc_core.training.events import CheckpointReady, EpochDone, RoundDone

# Two epochs of three rounds, on the CPU, with a threshold that needs no calibration.
TINY = RunSpec(
    teacher="tiny", device="cpu", epochs=2, rounds=3, student_steps=2, batch_size=16, snapshot_images=16
).replaced({"split.threshold": 4.0, "synthesis.width": 8})


def save_tiny_teacher(runs_dir: Path) -> None:
    """Save an untrained teacher of 16 px with the name "tiny"."""
    model = build("small", 10, seed=0)
    card = TeacherCard(
        name="tiny",
        kind="NTL",
        pair="mnistm-mnist",
        arch="small",
        image_side=16,
        num_classes=10,
        class_names=tuple("0123456789"),
        parameters=sum(p.numel() for p in model.parameters()),
        metrics={"iacc": 10.0, "oacc": 10.0},
        test_images={"id": 1000, "ood": 1000},
    )
    save_teacher(model, card, runs_dir / "teachers")


class ScriptedRun:
    """Yields events in the loop's order. Each round needs a permit (``let``), until ``set_free``."""

    def __init__(self):
        self.permits = defaultdict(lambda: threading.Semaphore(0))
        self.free = False
        self.waiting = False  # whether it waits for a permit; all events of the previous round are written
        self.opened: list[tuple[str, int]] = []  # (run id, epoch from which it was resumed)
        self.rounds: list[tuple[str, int, int]] = []

    def let(self, run_id: str, rounds: int) -> None:
        self.permits[run_id].release(rounds)

    def set_free(self) -> None:
        self.free = True
        for permits in list(self.permits.values()):
            permits.release(1000)

    def __call__(self, run, runs_dir, controls, resume) -> Iterator:
        start = resume["epoch"] if resume else 0
        self.opened.append((run.id, start))
        threshold = resume["threshold"] if resume else None
        for epoch in range(start + 1, run.epochs + 1):
            for number in range(1, run.rounds + 1):
                if not self.free:
                    self.waiting = True
                    assert self.permits[run.id].acquire(timeout=60)
                    self.waiting = False
                if run.label == "fails":
                    raise RuntimeError("the device is on fire")
                if controls.threshold not in (None, threshold):
                    threshold = controls.threshold
                    yield ThresholdChanged(epoch, number, threshold, "hand")
                if epoch == 2 and threshold is None:
                    threshold = 1.5
                    yield ThresholdChanged(epoch, number, threshold, "auto")
                self.rounds.append((run.id, epoch, number))
                images = ((epoch - 1) * run.rounds + number) * 32
                yield RoundDone(epoch, number, images, {"g/bn": 0.5}, None, threshold)
            yield EpochDone(epoch, images, {"iacc": 10.0 * epoch, "oacc": 5.0})
            yield SnapshotTaken(
                epoch,
                torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
                torch.zeros(2, 10),
                torch.zeros(2, 10),
                torch.zeros(2, 5),
                torch.zeros(2, 6),
                {"min_eps": torch.ones(2)},
                torch.ones(2, dtype=torch.bool),
                4.0,
            )
            yield CheckpointReady(epoch, {"epoch": epoch, "threshold": threshold})
