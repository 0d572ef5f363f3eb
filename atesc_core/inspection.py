"""One synthetic image under the attack: the adversarial image, and the teacher's and student's probabilities for it.

    python -m atesc_core.inspection RUN EPOCH INDEX EPSILON --runs-dir DIR --out FILE

does it in a process of its own, for models that take longer than a page may, and leaves the result in FILE.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atesc_core.errors import StoreError
from atesc_core.files import atomic_write, load_arrays, read_cached
from atesc_core.jobs import report_progress
from atesc_core.models import Classifier
from atesc_core.robustness.attack import pgd_early_exit
from atesc_core.robustness.scores import predictions
from atesc_core.runs import RunStore
from atesc_core.runs.students.files import load_student
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import predict

# Step pixels in one second: the slowest architecture (ResNet-34) took 0.5 s for 4 steps at 64 px on one core.
STEP_PIXELS_A_SECOND = 8 * 64**2


@dataclass(frozen=True)
class Inspection:
    """An image after the attack. The snapshot holds the values before the attack."""

    epsilon: float  # the attack's budget, 1/255
    flipped: bool  # whether the teacher's label changed
    adversarial: np.ndarray  # (3, H, W) float32 in [0, 1]
    teacher: np.ndarray  # (C,) float32, the teacher's probabilities of the adversarial image
    student: np.ndarray | None  # (C,) float32, the student's; None if the student of that epoch is not on disk
    students: tuple[int, ...]  # epochs whose student is on disk

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        student = np.empty(0, np.float32) if self.student is None else self.student
        facts = json.dumps([self.epsilon, self.flipped, self.students])
        with atomic_write(path) as file:
            np.savez(file, adversarial=self.adversarial, teacher=self.teacher, student=student, facts=facts)

    @classmethod
    def load(cls, path: Path) -> Inspection:
        """Read what ``save`` wrote. Raises FileNotFoundError, also of a damaged file, which it deletes."""
        return read_cached(path, cls._load)

    @classmethod
    def _load(cls, path: Path) -> Inspection:
        arrays = load_arrays(path)
        epsilon, flipped, students = json.loads(str(arrays["facts"]))
        student = arrays["student"] if len(arrays["student"]) else None
        return cls(epsilon, flipped, arrays["adversarial"], arrays["teacher"], student, tuple(students))


def smallest_budget(min_eps: float, split: SplitSpec) -> float:
    """The smallest budget, in 1/255, that changes the teacher's label by ``min_eps``; if none, the largest budget."""
    return split.max_epsilon if math.isinf(min_eps) else float(min_eps)


def takes_long(image_side: int, steps: int) -> bool:
    """Whether the inspection of an image may take over a second on a laptop. ``image_side``: in pixels."""
    return steps * image_side**2 > STEP_PIXELS_A_SECOND


def attack_image(
    teacher: Classifier, student: Classifier | None, x: Tensor, epsilon: float, steps: int
) -> tuple[Tensor, bool, Tensor, Tensor | None]:
    """Attack one image as the split and ``min_eps`` do.

    Args:
        teacher: The attacked model.
        student: Also predicts the adversarial image; None if there is no student.
        x: The image, (3, H, W) in [0, 1].
        epsilon: The attack's budget, in 1/255.
        steps: Number of gradient steps of the attack.

    Returns:
        The adversarial image, whether the teacher's label changed, and the probabilities, (C,), of teacher and of
        student for the adversarial image.
    """
    x = x[None]
    adversarial, flipped = pgd_early_exit(teacher, x, predictions(teacher, x), epsilon, steps)
    by_teacher = predict(teacher, adversarial).softmax(1)[0]
    by_student = None if student is None else predict(student, adversarial).softmax(1)[0]
    return adversarial[0], bool(flipped), by_teacher, by_student


def inspect(store: RunStore, run_id: str, epoch: int, index: int, epsilon: float) -> Inspection:
    """Attack an image of a run's snapshot, on the CPU, so that a run on a GPU is not slowed down.

    Args:
        store: The store that has the run.
        run_id: The run's id.
        epoch: Epoch of the snapshot.
        index: Index of the image in the snapshot.
        epsilon: The attack's budget, in 1/255.

    Raises:
        UnknownRunError: There is no such run.
        StoreError: There is no such snapshot.
        TeacherError: The run's teacher cannot be read.
        ValueError: The snapshot has no such image.
    """
    run, snapshot = store.get_distillation(run_id), store.snapshot(run_id, epoch)
    if not 0 <= index < len(snapshot.images):
        raise ValueError(f"index: {index} of epoch {epoch}; expected 0 to {len(snapshot.images) - 1}")
    teacher = load_teacher(run.spec.teacher, store.runs_dir).model
    try:
        student = load_student(store, run_id, epoch)
    except StoreError:  # it was deleted, and a student of another epoch would mislead
        student = None
    x = torch.from_numpy(snapshot.images[index]).float() / 255
    adversarial, flipped, by_teacher, by_student = attack_image(teacher, student, x, epsilon, run.spec.split.steps)
    return Inspection(
        epsilon=float(epsilon),
        flipped=flipped,
        adversarial=adversarial.numpy(),
        teacher=by_teacher.numpy(),
        student=None if by_student is None else by_student.numpy(),
        students=tuple(store.student_files(run_id)),
    )


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(prog="python -m atesc_core.inspection", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("epoch", type=int)
    parser.add_argument("index", type=int)
    parser.add_argument("epsilon", type=float, help="the attack's budget, 1/255")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report_progress(0.5, "reading the models")
    inspection = inspect(
        RunStore(arguments.runs_dir), arguments.run, arguments.epoch, arguments.index, arguments.epsilon
    )
    inspection.save(arguments.out)


if __name__ == "__main__":
    main()
