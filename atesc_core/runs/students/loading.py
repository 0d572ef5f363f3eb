"""Students on disk: read back as classifiers, or as the file that a user takes home."""

from __future__ import annotations

from pathlib import Path

import torch

from atesc_core.errors import StoreError
from atesc_core.models import Classifier
from atesc_core.runs import RunStore
from atesc_core.runs.students.files import about, to_bytes
from atesc_core.teachers.formats import check_file


def load_student(store: RunStore, run_id: str, epoch: int) -> Classifier:
    """The student as it was at the end of ``epoch``, frozen and in evaluation mode.

    Raises UnknownRun; StoreError where that epoch's student is not kept, and the message says which are.
    """
    path, arch = _file(store, run_id, epoch), store.get_distillation(run_id).spec.student
    if path.suffix == ".safetensors":
        return check_file(path, arch)
    from atesc_core.models import build

    state = _checkpoint(path, epoch)
    student = build(arch, len(state["head.bias"]))
    student.load_state_dict(state)
    return student.eval().requires_grad_(False)


def student_bytes(store: RunStore, run_id: str, epoch: int) -> bytes:
    """The student's safetensors file, which ``teachers add`` and the page Teachers recognise. Raises as above."""
    path = _file(store, run_id, epoch)
    if path.suffix == ".safetensors":
        return path.read_bytes()
    return to_bytes(_checkpoint(path, epoch), about(store, store.get_distillation(run_id), epoch))


def _file(store: RunStore, run_id: str, epoch: int) -> Path:
    there = store.students(run_id)
    if epoch not in there:
        kept = ", ".join(map(str, there)) or "none"
        raise StoreError(f"epoch: {epoch!r} of run {run_id} has no student kept; there are those of: {kept}")
    return there[epoch]


def _checkpoint(path: Path, epoch: int) -> dict[str, torch.Tensor]:
    """The student in a run's checkpoint. Mapped, not read: beside it lie the optimiser and perhaps a pool of images."""
    saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if saved["epoch"] != epoch:
        raise StoreError(f"epoch: {epoch!r} has no student kept; the checkpoint holds that of epoch {saved['epoch']}")
    return saved["state"]["student"]
