"""The students kept of a run: safetensors files that say what they are, and that can be loaded as teachers.

A file's header names the architecture, the classes (JSON) and where the student comes from; its normalisation is among
the weights, as in every file of this lab.
"""

from __future__ import annotations

import json

from safetensors.torch import save
from torch import Tensor

from atesc_core.files import atomic_write
from atesc_core.runs.run import DistillationRun
from atesc_core.runs.store import RunStore
from atesc_core.teachers.cards import find_card

MOST_BYTES = 256 * 1024**2  # of a run's students [this lab]: 800 of the small net, two of ResNet-34


def keep(store: RunStore, run: DistillationRun, epoch: int, state: dict[str, Tensor], most: int = MOST_BYTES) -> None:
    """Write the student as it is at the end of ``epoch``, and let go of those that ``kept`` no longer names."""
    path = store.student_file(run.id, epoch)
    with atomic_write(path) as file:
        file.write(to_bytes(state, about(store, run, epoch)))
    named = kept(epoch, path.stat().st_size, run.spec.escape.warmup_epochs if run.spec.escape.splits else None, most)
    for other, old in store.students(run.id).items():
        if other not in named:
            old.unlink()


def kept(epoch: int, size: int, boundary: int | None = None, most: int = MOST_BYTES) -> set[int]:
    """Epochs whose student is kept at the end of ``epoch``, at ``size`` bytes each.

    Every one, as long as they take no more than ``most`` bytes; then every second, fourth, eighth ... one. Always the
    newest, and the last one before the split begins (``boundary``), even where these two alone take more.
    """
    always = {epoch} | {early for early in (boundary,) if early and early <= epoch}
    step = 1
    while True:
        named = set(range(step, epoch + 1, step)) | always
        if len(named) * size <= most or step > epoch:
            return named
        step *= 2


def to_bytes(state: dict[str, Tensor], header: dict[str, str]) -> bytes:
    return save({name: value.detach().cpu().contiguous() for name, value in state.items()}, header)


def about(store: RunStore, run: DistillationRun, epoch: int) -> dict[str, str]:
    """The header; without class names and image side where the teacher is gone."""
    known = {"arch": run.spec.student, "run": run.id, "epoch": str(epoch), "teacher": run.spec.teacher}
    if (card := find_card(run.spec.teacher, store.runs_dir)) is not None:
        known |= {"class_names": json.dumps(card.class_names), "image_side": str(card.image_side), "pair": card.pair}
    return known
