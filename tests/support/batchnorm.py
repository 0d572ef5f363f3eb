"""Small reports on teachers' BatchNorm layers, in the files where the app expects them: no page then measures them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from atesc_core.domains.loading import load_pair
from atesc_core.teachers.batchnorm import BatchNormReport, batchnorm_file
from atesc_core.teachers.batchnorm_measurement import measure_batchnorm
from atesc_core.teachers.zoo import load_teacher


@cache
def small_report(teacher: str) -> BatchNormReport:
    """The report on 200 images of each domain, of a shipped teacher."""
    loaded = load_teacher(teacher)
    return measure_batchnorm(loaded, load_pair(loaded.card.pair, loaded.card.image_side), images=200)


def save_batchnorm(runs_dir: Path, *teachers: str) -> None:
    """Save the small reports as the complete ones."""
    for teacher in teachers:
        small_report(teacher).save(batchnorm_file(runs_dir, teacher))
