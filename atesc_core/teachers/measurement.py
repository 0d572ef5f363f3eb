"""Measure a teacher on real ID and OOD validation images: labels, attacks, scores.

    python -m atesc_core.teachers.measurement NAME --runs-dir DIR

measures in a separate process, prints its progress as JSON lines, and writes the report into DIR/cache.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from atesc_core.device import pick_device
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.jobs import report_progress
from atesc_core.models import Classifier
from atesc_core.robustness.oracle import Oracle
from atesc_core.robustness.scores import all_scores, robust_share
from atesc_core.specs.base import parse
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.report import ATTACKED_IMAGES, EPSILONS, DomainReport, Report, report_file
from atesc_core.teachers.zoo import Teacher, load_teacher
from atesc_core.training.evaluation import predict

BATCH_SIZE = 100
ORACLE_IMAGES = 1000  # training images of each domain, to fit the oracle
SCORES_COST = 20  # all scores of an image take as long as this many points of the robust-share curve


@dataclass(frozen=True)
class Measurement:
    """What a measurement has so far."""

    share: float  # done, 0..1
    current: str  # a text that says what is measured next
    report: Report | None  # the results so far: labels first, attacks at the end


def measure(
    teacher: Teacher,
    data: PairData,
    split: SplitSpec,
    device: torch.device,
    images: int = ATTACKED_IMAGES,
    epsilons: tuple[float, ...] = EPSILONS,
) -> Iterator[Measurement]:
    """Measure a teacher on the validation images of a pair; the last Measurement holds the whole report.

    Same teacher, data and split: same numbers (bit-identical on CPU).

    Args:
        teacher: Its model is moved to ``device``.
        data: The images of its pair.
        split: Settings of the attack.
        device: The device to compute on.
        images: Number of attacked validation images of each domain.
        epsilons: The ε of the robust-share curve, in 1/255.
    """
    model = teacher.model.to(device)
    images_of = {"id": data.id.validation.to(device), "ood": data.ood.validation.to(device)}
    yield Measurement(0.0, "Labels", None)
    parts = {domain: _without_attack(model, part, images) for domain, part in images_of.items()}
    x = {domain: part.images[:images] for domain, part in images_of.items()}
    count = sum(map(len, x.values()))
    total, done = (SCORES_COST + len(epsilons)) * count, 0
    oracle = None

    def progress(current: str) -> Measurement:
        report = Report(
            **parts,
            epsilons=np.asarray(epsilons),
            id_classes=data.id.classes,
            ood_classes=data.ood.classes,
            target=data.pair.target,
            metric=data.pair.metric,
            oracle=oracle,
        )
        return Measurement(done / total, current, report)

    yield progress("Scores")
    all_images, random = torch.cat(list(x.values())), torch.Generator(device).manual_seed(0)
    batches = -(-count // BATCH_SIZE)
    scores: dict[str, torch.Tensor] = {}
    for first in range(batches):  # both domains in each batch, for scores that are fitted to their batch
        mixed = torch.arange(first, count, batches, device=device)
        for name, values in all_scores(model, all_images[mixed], split, random).items():
            scores.setdefault(name, torch.empty(count, device=device))[mixed] = values.float()
        done += SCORES_COST * len(mixed)
        yield progress("Scores of validation images")
    robust: dict[str, list[float]] = {domain: [] for domain in x}
    for domain, attacked in x.items():
        for epsilon in epsilons:
            robust[domain] += robust_share(model, attacked, [epsilon], split.steps)
            done += len(attacked)
            yield progress(f"{domain.upper()} validation images at ε = {epsilon:g}")
    id_features, ood_features = (
        _features(model, domain.train.images[:ORACLE_IMAGES].to(device)) for domain in (data.id, data.ood)
    )
    oracle = Oracle.fit(id_features, ood_features)
    slices = {"id": slice(None, len(x["id"])), "ood": slice(len(x["id"]), None)}
    for domain, part in parts.items():
        domain_scores = {name: values[slices[domain]].cpu().numpy() for name, values in scores.items()}
        parts[domain] = replace(
            part, robust_share=np.asarray(robust[domain]), scores=domain_scores | {"oracle": oracle(part.features)}
        )
    yield progress("Done")


@torch.no_grad()
def _features(model: Classifier, x: torch.Tensor) -> NDArray[np.float32]:
    """(N, F), the penultimate layer of images (N, 3, H, W)."""
    features: NDArray[np.float32] = (
        torch.cat([model.features(part).float() for part in torch.split(x, 500)]).cpu().numpy()
    )
    return features


def _without_attack(model: Classifier, validation: ImageSet, images: int) -> DomainReport:
    """The part of the report without an attack: labels, images and features."""
    x = validation.images[:images]
    confidence, predicted = predict(model, validation.images).softmax(1).max(1)
    return DomainReport(
        labels=validation.labels.cpu().numpy(),
        predicted=predicted.cpu().numpy(),
        confidence=confidence.cpu().numpy(),
        images=(x * 255).round().to(torch.uint8).cpu().numpy(),
        features=_features(model, x),
        robust_share=np.empty(0, np.float32),
    )


def measured_report(
    name: str,
    runs_dir: Path,
    split: SplitSpec,
    *,
    attacked: bool = True,
    on_progress: Callable[[float, str], None] = lambda share, current: None,
) -> Report:
    """The report of a teacher, from the cache or measured now.

    Args:
        name: Name of the teacher.
        runs_dir: The folder with the user's teachers and the reports.
        split: Settings of the attack.
        attacked: Whether the report must include the attack; if not, labels and features are enough.
        on_progress: Called with the progress, 0..1, and a text that says what is measured next.

    Raises:
        TeacherError: there is no such teacher.
    """
    path = report_file(runs_dir, name, split)
    if (saved := _saved_report(path, attacked)) is not None:
        return saved
    path.parent.mkdir(parents=True, exist_ok=True)
    on_progress(0, "Waiting for its turn")
    with FileLock(path.parent / "reports.lock"):  # one at a time: two would each take twice as long
        saved = _saved_report(path, attacked)
        return saved if saved is not None else _measure_and_save(path, name, runs_dir, split, attacked, on_progress)


def _saved_report(path: Path, attacked: bool) -> Report | None:
    try:
        report = Report.load(path)
    except FileNotFoundError:
        return None
    return report if report.attacked or not attacked else None


def _measure_and_save(
    path: Path, name: str, runs_dir: Path, split: SplitSpec, attacked: bool, on_progress: Callable[[float, str], None]
) -> Report:
    """Measure, and write the report to ``path``: first with labels only, then complete."""
    teacher = load_teacher(name, runs_dir)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    saved: Report | None = None
    for progress in measure(teacher, data, split, pick_device()):
        on_progress(progress.share, progress.current)
        if progress.report is not None and (saved is None or progress.share == 1):
            saved = progress.report
            saved.save(path)
        if saved is not None and not attacked:
            break
    assert saved is not None, "the second Measurement holds a report"
    return saved


def main() -> None:
    """Measure the teacher that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--split", type=json.loads, default={}, help="fields of SplitSpec, as JSON")
    arguments = parser.parse_args()
    split = parse(SplitSpec, arguments.split)
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    measured_report(arguments.name, arguments.runs_dir, split, on_progress=report_progress)


if __name__ == "__main__":
    main()
