"""Measure the inputs of a teacher's BatchNorm layers on real ID and OOD images: see `batchnorm`.

    python -m atesc_core.teachers.batchnorm_measurement NAME --runs-dir DIR

measures in a separate process, and writes the report into DIR/cache.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from filelock import FileLock

from atesc_core.domains.loading import PairData, load_pair
from atesc_core.jobs import report_progress
from atesc_core.models.batchnorm import BatchNormInputs
from atesc_core.teachers.batchnorm import BatchNormReport, batchnorm_file
from atesc_core.teachers.zoo import Teacher, load_teacher

BATCH_SIZE = 100
OnProgress = Callable[[float, str], None]


def measure_batchnorm(
    teacher: Teacher, data: PairData, images: int | None = None, on_progress: OnProgress = lambda share, message: None
) -> BatchNormReport:
    """Measure a teacher on the validation images of both domains of its pair, on the CPU.

    Args:
        teacher: The teacher.
        data: The images of its pair.
        images: The largest number of images of each domain; all unless given.
        on_progress: Called with the progress, 0..1, and a text that says what is being measured.
    """
    batches = [torch.split(domain.validation.images[:images], BATCH_SIZE) for domain in (data.id, data.ood)]
    inputs, done = [BatchNormInputs(teacher.model) for _ in batches], 0
    for measured, parts, name in zip(inputs, batches, ("ID", "OOD"), strict=True):
        with torch.no_grad(), measured:
            for part in parts:
                teacher.model(part)
                done += 1
                on_progress(done / sum(map(len, batches)), f"{name} validation images")
    id_inputs, ood_inputs = inputs
    return BatchNormReport(
        layers=id_inputs.layers,
        channels=id_inputs.channels,
        running=id_inputs.running().numpy(),
        id=id_inputs.statistics().numpy(),
        ood=ood_inputs.statistics().numpy(),
        id_images=sum(map(len, batches[0])),
        ood_images=sum(map(len, batches[1])),
    )


def measured_batchnorm(
    name: str, runs_dir: Path, on_progress: OnProgress = lambda share, message: None
) -> BatchNormReport:
    """The report of a teacher, from the cache or measured now.

    Raises:
        TeacherError: there is no such teacher.
        DomainError: the images of its pair cannot be loaded.
    """
    path = batchnorm_file(runs_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / "batchnorm.lock"):  # one at a time, and none twice
        with suppress(FileNotFoundError):
            return BatchNormReport.load(path)
        teacher = load_teacher(name, runs_dir)
        data = load_pair(teacher.card.pair, teacher.card.image_side)
        report = measure_batchnorm(teacher, data, on_progress=on_progress)
        report.save(path)
        return report


def main() -> None:
    """Measure the teacher that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--runs-dir", type=Path, required=True)
    arguments = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    measured_batchnorm(arguments.name, arguments.runs_dir, report_progress)


if __name__ == "__main__":
    main()
