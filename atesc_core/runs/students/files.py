"""Students of a run on disk, as safetensors files that can be loaded as teachers.

A file's metadata names the architecture, the classes (JSON), the run and the epoch. The normalisation is among the
weights, as in every file of this lab.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from atesc_core.errors import StoreError, TeacherError
from atesc_core.models import Classifier
from atesc_core.runs.run import DistillationRun
from atesc_core.runs.store import RunStore
from atesc_core.teachers.cards import find_card
from atesc_core.teachers.files import header, read_tensors, save_tensors
from atesc_core.teachers.formats import read_classifier

MAX_BYTES = 256 * 1024**2  # all students of a run [this lab]: 800 of the small net, two of ResNet-34


def save_student(
    store: RunStore, run: DistillationRun, epoch: int, state: Mapping[str, Tensor], max_bytes: int = MAX_BYTES
) -> None:
    """Write the student at the end of ``epoch``, and delete the files that ``epochs_to_keep`` does not name.

    Args:
        store: the run's store.
        run: the run of the student.
        epoch: from 1.
        state: the student's weights by name.
        max_bytes: limit for all students of the run on disk; see ``epochs_to_keep``.
    """
    path = store.student_file(run.id, epoch)
    save_tensors(state, path, student_metadata(store, run, epoch))
    last_unsplit = run.spec.escape.warmup_epochs if run.spec.escape.splits else None
    epochs = epochs_to_keep(epoch, path.stat().st_size, last_unsplit, max_bytes)
    for other_epoch, file_path in store.student_files(run.id).items():
        if other_epoch not in epochs:
            file_path.unlink()


def epochs_to_keep(epoch: int, size: int, last_unsplit: int | None = None, max_bytes: int = MAX_BYTES) -> set[int]:
    """Epochs whose students stay on disk once the student of ``epoch`` is written, at ``size`` bytes each.

    All epochs as long as they take no more than ``max_bytes``; then every second, fourth, eighth ... epoch. Always the
    newest and the last one before the split begins (``last_unsplit``), even if these two alone take more.
    """
    always = {epoch}
    if last_unsplit and last_unsplit <= epoch:
        always.add(last_unsplit)
    step = 1
    while True:
        epochs = set(range(step, epoch + 1, step)) | always
        if len(epochs) * size <= max_bytes or step > epoch:
            return epochs
        step *= 2


def student_metadata(store: RunStore, run: DistillationRun, epoch: int) -> dict[str, str]:
    """The file's metadata; without class names and image side if the teacher was deleted."""
    metadata = {"arch": run.spec.student, "run": run.id, "epoch": str(epoch), "teacher": run.spec.teacher}
    if (card := find_card(run.spec.teacher, store.runs_dir)) is not None:
        metadata |= header(card.class_names, card.image_side) | {"pair": card.pair}
    return metadata


def load_student(store: RunStore, run_id: str, epoch: int) -> Classifier:
    """The student at the end of ``epoch``, frozen and in evaluation mode.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the student of that epoch is not on disk; the message says which are.
    """
    return read_classifier(_student_file(store, run_id, epoch), store.get_distillation(run_id).spec.student)


def student_bytes(store: RunStore, run_id: str, epoch: int) -> bytes:
    """The content of the student's file, which ``teachers add`` and the page Teachers accept.

    Raises as ``load_student``; StoreError too if the file is damaged.
    """
    path = _student_file(store, run_id, epoch)
    try:
        read_tensors(path)
    except TeacherError as error:
        raise StoreError(f"run: {run_id}, the student of epoch {epoch}: {error}") from None
    return path.read_bytes()


def _student_file(store: RunStore, run_id: str, epoch: int) -> Path:
    files = store.student_files(run_id)
    if epoch not in files:
        available = ", ".join(map(str, files)) or "none"
        raise StoreError(f"epoch: {epoch!r} of run {run_id} has no student kept; there are those of: {available}")
    return files[epoch]
