"""A teacher that drives the real loop in a second or two."""

from __future__ import annotations

from pathlib import Path

from atesc_core.models import build
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.zoo import TeacherCard, save_teacher

# Two epochs of three rounds, on the CPU, with a threshold that needs no calibration.
TINY = RunSpec(
    teacher="tiny", device="cpu", epochs=2, rounds=3, student_steps=2, batch_size=16, snapshot_images=16
).replaced({"split.threshold": 4.0, "synthesis.width": 8})


def save_tiny_teacher(runs_dir: Path) -> None:
    """An untrained teacher of the user's own, 16 px, under the name "tiny"."""
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
        metrics={},
        test_images={},
    )
    save_teacher(model, card, runs_dir / "teachers")
