"""Three scenes of the story that no run logs: a teacher's border, the first steps of a run, BatchNorm statistics.

    python -m atesc_core.recording.scenes RUN_ID SL_TEACHER --runs-dir D

computes them for the story whose plain run is RUN_ID, and saves them as ``scenes_file``: a recording without runs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from atesc_core.distillation.state import Distillation
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.jobs import report_progress
from atesc_core.recording.file import save
from atesc_core.recording.manifest import (
    BatchNormPositions,
    Border,
    BorderPair,
    FirstStep,
    FirstSteps,
    Manifest,
    Recording,
    TeacherPositions,
    Turn,
)
from atesc_core.recording.writer import plain_text, scenes_file
from atesc_core.runs import RunStore
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.batchnorm import BatchNormReport
from atesc_core.teachers.batchnorm_measurement import measured_batchnorm
from atesc_core.teachers.zoo import Teacher, load_teacher
from atesc_core.training.evaluation import predict

BORDER_PAIRS = 6  # ID images, each with an OOD image
BLENDS = 21  # of each pair
FIRST_ROUNDS = 20  # shown step by step
FIRST_STEP_IMAGES = 24  # generated from the same z before and after each step

Arrays = dict[str, np.ndarray]
OnProgress = Callable[[float, str], None]


def record_border(
    teachers: Sequence[Teacher], data: PairData, count: int = BORDER_PAIRS, blends: int = BLENDS
) -> tuple[Border, Arrays]:
    """Predictions of teachers on blends x = (1 − a)·ID + a·OOD of test images.

    Takes one ID image that all teachers classify correctly from each of the first classes, without the pair's target
    class. It is blended with the OOD image nearest to it (L2), of the same class if the domains share their classes.

    Args:
        teachers: NTL, or NTL and SL.
        data: The images of their pair.
        count: Pairs of images, at most.
        blends: Blends of each pair, a = 0 ... 1.

    Returns:
        The manifest of the scene, and its arrays ``images`` and ``probs``.
    """
    id_test, ood_test = data.id.test, data.ood.test
    side, same_classes = id_test.images.shape[-1], data.pair.setting != "open"
    chosen = _correct_images(teachers, data, count)
    nearest = [
        _nearest_image(
            id_test.images[index], ood_test.images, ood_test.labels == id_test.labels[index] if same_classes else None
        )
        for index in chosen
    ]
    shares = torch.linspace(0, 1, blends)
    images = torch.lerp(id_test.images[chosen][:, None], ood_test.images[nearest][:, None], shares.view(1, -1, 1, 1, 1))
    images = (images * 255).round() / 255  # the teachers get exactly the images that are shown
    probs = [
        predict(teacher.model, images.flatten(0, 1)).softmax(1).reshape(len(chosen), blends, -1) for teacher in teachers
    ]
    pairs = [
        BorderPair(
            label=int(id_test.labels[i]),
            id_class=plain_text(data.id.classes[id_test.labels[i]]),
            ood_class=plain_text(data.ood.classes[ood_test.labels[j]]),
        )
        for i, j in zip(chosen, nearest, strict=True)
    ]
    manifest = Border(
        kinds=tuple(teacher.card.kind for teacher in teachers),
        image_side=side,
        pairs=tuple(pairs),
        class_names=tuple(map(plain_text, teachers[0].card.class_names)),
        shares=tuple(shares.tolist()),
    )
    return manifest, {
        "images": (images * 255).round().to(torch.uint8).numpy(),
        "probs": torch.stack(probs).clamp(0, 1).numpy(),
    }


def _correct_images(teachers: Sequence[Teacher], data: PairData, count: int) -> list[int]:
    """Indices of the first ID test image of each class that all teachers classify correctly; [0] if none."""
    test = data.id.test
    all_correct = torch.stack(
        [predict(teacher.model, test.images).argmax(1) == test.labels for teacher in teachers]
    ).all(0)
    first: dict[int, int] = {}
    for index in all_correct.nonzero().flatten().tolist():
        label = int(test.labels[index])
        if label != data.pair.target:
            first.setdefault(label, index)
    return [first[label] for label in sorted(first)[:count]] or [0]


def _nearest_image(image: Tensor, candidates: Tensor, allowed: Tensor | None) -> int:
    """Index of the candidate, (N, 3, s, s), nearest to ``image`` among the ``allowed`` ones, (N,) bool."""
    distance = (candidates - image).square().sum((1, 2, 3))
    if allowed is not None and allowed.any():
        distance = distance.masked_fill(~allowed, torch.inf)
    return int(distance.argmin())


def record_first_steps(
    spec: RunSpec,
    teacher: Teacher,
    rounds: int = FIRST_ROUNDS,
    images: int = FIRST_STEP_IMAGES,
    on_progress: OnProgress = lambda share, message: None,
) -> tuple[FirstSteps, Arrays]:
    """Repeat the first rounds of a run, a generator's and a student's turn at a time.

    Observation changes nothing: these are exactly the steps of the run.

    Args:
        spec: The spec of the run.
        teacher: The teacher of the run.
        rounds: Number of rounds, at most those of the first epoch.
        images: Images observed before and after each turn.
        on_progress: Called with the progress, 0..1, and a text that says what is being made.

    Returns:
        The manifest of the scene, and its arrays.

    Raises:
        ValueError: The synthesizer has no images before its first round.
    """
    run = Distillation(spec, teacher)
    if not run.synthesizer.has_images:
        raise ValueError(f"synthesis.kind: {spec.synthesis.kind!r} has no images before its first round; expected dfq")
    observed, steps = [_observe(run, images)], []
    rounds = min(rounds, spec.rounds)  # of the first epoch
    for round_ in range(1, rounds + 1):
        terms = {f"g/{name}": float(value) for name, value in run.synthesizer.train_round(run.student).items()}
        observed.append(_observe(run, images))
        steps.append(_step("generator", round_, terms, observed[-1]))
        losses = [run.student_step(epoch=1) for _ in range(spec.student_steps)]
        terms = {f"s/{name}": float(torch.stack([step[name] for step in losses]).mean()) for name in losses[0]}
        observed.append(_observe(run, images))
        steps.append(_step("student", round_, terms, observed[-1]))
        on_progress(round_ / rounds, "The first steps of the distillation")
    manifest = FirstSteps(
        class_names=tuple(map(plain_text, teacher.card.class_names)),
        image_side=teacher.card.image_side,
        images=images,
        agreement=_agreement(observed[0]),
        steps=tuple(steps),
    )
    drawn = [observed[0], *observed[1::2]]  # a student's turn makes no new images
    scene = {
        name: np.stack([arrays[name] for arrays in drawn]) for name in ("images", "teacher_class", "teacher_confidence")
    }
    return manifest, scene | {"student_class": np.stack([arrays["student_class"] for arrays in observed])}


def _observe(run: Distillation, images: int) -> Arrays:
    """Images of the same z each time, and the predictions of teacher and student. Leaves the run as it was."""
    state = run.random.get_state()
    run.random.manual_seed(run.spec.seed)
    x = (run.synthesizer.sample(images) * 255).round() / 255
    run.random.set_state(state)
    confidence, label = predict(run.teacher, x).softmax(1).max(1)
    return {
        "images": (x * 255).round().to(torch.uint8).cpu().numpy(),
        "teacher_class": label.cpu().numpy().astype(np.uint16),
        "teacher_confidence": confidence.cpu().numpy().clip(0, 1),
        "student_class": predict(run.student, x).argmax(1).cpu().numpy().astype(np.uint16),
    }


def _agreement(observed: Arrays) -> float:
    return float(100 * (observed["teacher_class"] == observed["student_class"]).mean())


def _step(turn: Turn, round_: int, terms: dict[str, float], observed: Arrays) -> FirstStep:
    finite = {name: float(f"{value:.6g}") if np.isfinite(value) else None for name, value in terms.items()}
    return FirstStep(turn=turn, round=round_, losses=finite, agreement=_agreement(observed))


def record_batchnorm(
    teachers: Sequence[Teacher], runs_dir: Path, on_progress: OnProgress = lambda share, message: None
) -> BatchNormPositions:
    """Where the running statistics of teachers lie between real ID and real OOD images, from the cache or measured now.

    Args:
        teachers: NTL, or NTL and SL, of one pair and image side.
        runs_dir: The folder with the user's teachers and the cache.
        on_progress: Called with the progress, 0..1, and a text that says what is being made.
    """
    reports = [measured_batchnorm(teacher.card.name, runs_dir, on_progress) for teacher in teachers]
    return BatchNormPositions(
        teachers=tuple(
            _teacher_positions(teacher.card.kind, report) for teacher, report in zip(teachers, reports, strict=True)
        ),
        images={"id": reports[0].id_images, "ood": reports[0].ood_images},
    )


def _teacher_positions(kind: Literal["NTL", "SL"], report: BatchNormReport) -> TeacherPositions:
    positions = vars(report.positions(report.running))
    values = {
        name: tuple(None if np.isnan(value) else float(f"{value:.6g}") for value in part)
        for name, part in positions.items()
    }
    return TeacherPositions(kind=kind, layers=tuple(map(plain_text, report.layers)), **values)


def record_scenes(
    spec: RunSpec, sl_teacher: str, runs_dir: Path, on_progress: OnProgress = lambda share, message: None
) -> Recording:
    """The scenes of a story, as a recording without runs.

    Args:
        spec: The spec of the story's plain run.
        sl_teacher: Name of the SL teacher of the same pair.
        runs_dir: The store's folder.
        on_progress: Called with the progress, 0..1, and a text that says what is being made.

    Raises:
        TeacherError: A teacher cannot be loaded.
        DomainError: Their images cannot be loaded.
        ValueError: The synthesizer has no images before its first round.
    """
    teacher, control = load_teacher(spec.teacher, runs_dir), load_teacher(sl_teacher, runs_dir)
    on_progress(0.0, "Where the teacher's border is")
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    at_border, border_arrays = record_border((teacher, control), data)
    batchnorm = record_batchnorm((teacher, control), runs_dir)
    first, first_arrays = record_first_steps(spec, teacher, on_progress=on_progress)
    arrays = {f"border/{name}": values for name, values in border_arrays.items()}
    arrays |= {f"first/{name}": values for name, values in first_arrays.items()}
    manifest = Manifest(
        title="Scenes", created=time.time(), runs=(), border=at_border, first=first, batchnorm=batchnorm
    )
    return Recording(manifest, arrays)


def main() -> None:
    """Record the scenes of the run and of the SL teacher on the command line, into the folder of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("sl_teacher")
    parser.add_argument("--runs-dir", type=Path, required=True)
    arguments = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # runs come first
    run = RunStore(arguments.runs_dir).get_distillation(arguments.run)
    save(
        record_scenes(run.spec, arguments.sl_teacher, arguments.runs_dir, report_progress),
        scenes_file(arguments.runs_dir, run.id),
    )


if __name__ == "__main__":
    main()
