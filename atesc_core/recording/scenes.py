"""The two scenes of the story that no run logs: a teacher's border, and a run's first steps from within.

    python -m atesc_core.recording.scenes RUN_ID SL_TEACHER --runs-dir D

computes both for a story whose plain run is RUN_ID, and leaves them at ``scenes_file``: a recording without runs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atesc_core.distillation.state import Distillation
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.jobs import report_progress
from atesc_core.recording.file import save
from atesc_core.recording.manifest import Border, BorderPair, FirstStep, FirstSteps, Manifest, Recording
from atesc_core.recording.writer import scenes_file, words
from atesc_core.runs import RunStore
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import Teacher, load_teacher
from atesc_core.training.evaluation import predict

PAIRS = 6  # ID images that the border is shown for
PLACES = 21  # on the way of each to its OOD image
ROUNDS = 20  # first ones that are shown step by step
IMAGES = 24  # that the generator makes of the same z, each time

Arrays = dict[str, np.ndarray]
Tell = Callable[[float, str], None]


def border(
    teachers: Sequence[Teacher], data: PairData, count: int = PAIRS, places: int = PLACES
) -> tuple[Border, Arrays]:
    """What each teacher says on the straight way from ID test images to OOD test images, x = (1 − a)·ID + a·OOD.

    One image of each of the first classes that all the teachers get right, the pair's target class left out, and the
    OOD image that is nearest to it (L2): of its own class where the domains share their classes.
    """
    ours, theirs = data.id.test, data.ood.test
    side, shared = ours.images.shape[-1], data.pair.setting != "open"
    chosen = _understood(teachers, data, count)
    nearest = [
        _nearest(ours.images[place], theirs.images, theirs.labels == ours.labels[place] if shared else None)
        for place in chosen
    ]
    shares = torch.linspace(0, 1, places)
    blends = torch.lerp(ours.images[chosen][:, None], theirs.images[nearest][:, None], shares.view(1, -1, 1, 1, 1))
    blends = (blends * 255).round() / 255  # what is shown is what is asked about
    probs = [
        predict(teacher.model, blends.flatten(0, 1)).softmax(1).unflatten(0, (len(chosen), places))
        for teacher in teachers
    ]
    pairs = [
        BorderPair(
            label=int(ours.labels[i]),
            id_class=words(data.id.classes[ours.labels[i]]),
            ood_class=words(data.ood.classes[theirs.labels[j]]),
        )
        for i, j in zip(chosen, nearest, strict=True)
    ]
    manifest = Border(
        kinds=tuple(teacher.card.kind for teacher in teachers),
        image_side=side,
        pairs=tuple(pairs),
        class_names=tuple(map(words, teachers[0].card.class_names)),
        shares=tuple(shares.tolist()),
    )
    return manifest, {
        "images": (blends * 255).round().to(torch.uint8).numpy(),
        "probs": torch.stack(probs).clamp(0, 1).numpy(),
    }


def _understood(teachers: Sequence[Teacher], data: PairData, count: int) -> list[int]:
    """Places of the first test image of each class that every teacher gets right; of any class where none does."""
    test = data.id.test
    right = torch.stack([predict(teacher.model, test.images).argmax(1) == test.labels for teacher in teachers]).all(0)
    found: dict[int, int] = {}
    for place in right.nonzero().flatten().tolist():
        label = int(test.labels[place])
        if label != data.pair.target:
            found.setdefault(label, place)
    return [found[label] for label in sorted(found)[:count]] or [0]


def _nearest(image: Tensor, others: Tensor, allowed: Tensor | None) -> int:
    """Place of the nearest of ``others``, (N, 3, s, s), among those ``allowed``, (N,) bool."""
    distance = (others - image).square().sum((1, 2, 3))
    if allowed is not None and allowed.any():
        distance = distance.masked_fill(~allowed, torch.inf)
    return int(distance.argmin())


def first_steps(
    spec: RunSpec, teacher: Teacher, rounds: int = ROUNDS, images: int = IMAGES, tell: Tell = lambda share, what: None
) -> tuple[FirstSteps, Arrays]:
    """The run's first rounds again, a generator's and a student's turn at a time: the same steps as the run's own.

    To look changes nothing in the run. Raises ValueError where the synthesizer has no images to begin with.
    """
    run = Distillation(spec, teacher)
    if not run.synthesizer.has_images:
        raise ValueError(f"synthesis.kind: {spec.synthesis.kind!r} has no images before its first round; expected dfq")
    looks, steps = [_look(run, images)], []
    rounds = min(rounds, spec.rounds)  # of the first epoch
    for round_ in range(1, rounds + 1):
        terms = {f"g/{name}": float(value) for name, value in run.synthesizer.train_round(run.student).items()}
        looks.append(_look(run, images))
        steps.append(_step("generator", round_, terms, looks[-1]))
        lessons = [run.student_step(epoch=1) for _ in range(spec.student_steps)]
        terms = {f"s/{name}": float(torch.stack([lesson[name] for lesson in lessons]).mean()) for name in lessons[0]}
        looks.append(_look(run, images))
        steps.append(_step("student", round_, terms, looks[-1]))
        tell(round_ / rounds, "The first steps of the distillation")
    manifest = FirstSteps(
        class_names=tuple(map(words, teacher.card.class_names)),
        image_side=teacher.card.image_side,
        images=images,
        agreement=_agreement(looks[0]),
        steps=tuple(steps),
    )
    drawn = [looks[0], *looks[1::2]]  # a student's turn draws nothing new
    scene = {name: np.stack([look[name] for look in drawn]) for name in ("images", "teacher_class", "teacher_sure")}
    return manifest, scene | {"student_class": np.stack([look["student_class"] for look in looks])}


def _look(run: Distillation, images: int) -> Arrays:
    """Images of the same z each time, and what teacher and student say of them."""
    kept = run.random.get_state()
    run.random.manual_seed(run.spec.seed)
    x = (run.synthesizer.sample(images) * 255).round() / 255
    run.random.set_state(kept)
    sure, label = predict(run.teacher, x).softmax(1).max(1)
    return {
        "images": (x * 255).round().to(torch.uint8).cpu().numpy(),
        "teacher_class": label.cpu().numpy().astype(np.uint16),
        "teacher_sure": sure.cpu().numpy().clip(0, 1),
        "student_class": predict(run.student, x).argmax(1).cpu().numpy().astype(np.uint16),
    }


def _agreement(look: Arrays) -> float:
    return float(100 * (look["teacher_class"] == look["student_class"]).mean())


def _step(who: str, round_: int, terms: dict[str, float], look: Arrays) -> FirstStep:
    finite = {name: float(f"{value:.6g}") if np.isfinite(value) else None for name, value in terms.items()}
    return FirstStep(who=who, round=round_, losses=finite, agreement=_agreement(look))


def scenes(spec: RunSpec, sl_teacher: str, runs_dir: Path, tell: Tell = lambda share, what: None) -> Recording:
    """Both scenes of a story whose plain student has this spec, as a recording without runs.

    Raises TeacherError, DomainError; ValueError where its synthesizer has no first images.
    """
    teacher, control = load_teacher(spec.teacher, runs_dir), load_teacher(sl_teacher, runs_dir)
    tell(0.0, "Where the teacher's border is")
    at_border, border_arrays = border((teacher, control), load_pair(teacher.card.pair, teacher.card.image_side))
    first, first_arrays = first_steps(spec, teacher, tell=tell)
    arrays = {f"border/{name}": values for name, values in border_arrays.items()}
    arrays |= {f"first/{name}": values for name, values in first_arrays.items()}
    return Recording(Manifest(title="Scenes", created=time.time(), runs=(), border=at_border, first=first), arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("sl_teacher")
    parser.add_argument("--runs-dir", type=Path, required=True)
    asked = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    run = RunStore(asked.runs_dir).get_distillation(asked.run)
    save(scenes(run.spec, asked.sl_teacher, asked.runs_dir, report_progress), scenes_file(asked.runs_dir, run.id))


if __name__ == "__main__":
    main()
