"""Measure what a teacher does with real ID and OOD test images: labels, attacks, scores.

    python -m atesc_core.teachers.measurement NAME --runs-dir DIR

measures in a process of its own, prints its progress as JSON lines, and leaves the report in DIR/cache.
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

from atesc_core.device import pick_device
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.jobs import report_progress
from atesc_core.robustness.oracle import Oracle
from atesc_core.robustness.scores import all_scores, robust_share
from atesc_core.specs.base import parse
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.report import ATTACKED_IMAGES, EPSILONS, DomainReport, Report, report_file
from atesc_core.teachers.zoo import Teacher, load_teacher
from atesc_core.training.evaluation import predict

BATCH_SIZE = 100

ORACLE_IMAGES = 1000  # training images of each domain that the oracle is fitted on

SCORES_COST = 20  # all scores of an image cost as much time as so many points of the robust-share curve


@dataclass(frozen=True)
class Progress:
    """How far a measurement has come. ``report``: as it is now, labels first, attacks at the end."""

    share: float  # done, 0..1
    what: str  # comes next
    report: Report | None


def measure(
    teacher: Teacher,
    data: PairData,
    split: SplitSpec,
    device: torch.device,
    images: int = ATTACKED_IMAGES,
    epsilons: tuple[float, ...] = EPSILONS,
) -> Iterator[Progress]:
    """Measure ``teacher`` on the test sets of ``data``, attacking the first ``images`` of each as ``split`` says.

    Same teacher, data and split: same numbers (bit-identical on CPU). The last step holds the whole report.
    """
    model = teacher.model.to(device)
    tests = {"id": data.id.test.to(device), "ood": data.ood.test.to(device)}
    yield Progress(0.0, "Labels", None)
    sides = {domain: _labelled(model, test, images) for domain, test in tests.items()}
    x = {domain: test.images[:images] for domain, test in tests.items()}
    count = sum(map(len, x.values()))
    total, done = (SCORES_COST + len(epsilons)) * count, 0
    oracle = None

    def step(what: str) -> Progress:
        measured = Report(
            **sides,
            epsilons=np.asarray(epsilons),
            id_classes=data.id.classes,
            ood_classes=data.ood.classes,
            target=data.pair.target,
            metric=data.pair.metric,
            oracle=oracle,
        )
        return Progress(done / total, what, measured)

    yield step("Scores")
    both, random = torch.cat(list(x.values())), torch.Generator(device).manual_seed(0)
    batches = -(-count // BATCH_SIZE)
    scored: dict[str, torch.Tensor] = {}
    for first in range(batches):  # both domains in each batch: a score that is fitted to its batch compares them
        mixed = torch.arange(first, count, batches, device=device)
        for name, values in all_scores(model, both[mixed], split, random).items():
            scored.setdefault(name, torch.empty(count, device=device))[mixed] = values.float()
        done += SCORES_COST * len(mixed)
        yield step("Scores of test images")
    robust: dict[str, list[float]] = {domain: [] for domain in x}
    for domain, own in x.items():
        for epsilon in epsilons:
            robust[domain] += robust_share(model, own, [epsilon], split.steps)
            done += len(own)
            yield step(f"{domain.upper()} test images at \u03b5 = {epsilon:g}")
    oracle = Oracle.fit(
        *(_features(model, domain.train.images[:ORACLE_IMAGES].to(device)) for domain in (data.id, data.ood))
    )
    places = {"id": slice(None, len(x["id"])), "ood": slice(len(x["id"]), None)}
    for domain, side in sides.items():
        own = {name: values[places[domain]].cpu().numpy() for name, values in scored.items()}
        sides[domain] = replace(
            side, robust_share=np.asarray(robust[domain]), scored=own | {"oracle": oracle(side.features)}
        )
    yield step("Done")


@torch.no_grad()
def _features(model: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """(N, F) float32, the penultimate layer of images (N, 3, H, W)."""
    return torch.cat([model.features(part).float() for part in x.split(500)]).cpu().numpy()


def _labelled(model: torch.nn.Module, test: ImageSet, images: int) -> DomainReport:
    """What takes no attack."""
    x = test.images[:images]
    confidence, given = predict(model, test.images).softmax(1).max(1)
    return DomainReport(
        labels=test.labels.cpu().numpy(),
        given=given.cpu().numpy(),
        confidence=confidence.cpu().numpy(),
        images=(x * 255).round().to(torch.uint8).cpu().numpy(),
        features=_features(model, x),
        robust_share=np.empty(0, np.float32),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--split", type=json.loads, default={}, help="fields of SplitSpec, as JSON")
    asked = parser.parse_args()
    split = parse(SplitSpec, asked.split)
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first

    measured_report(asked.name, asked.runs_dir, split, tell=report_progress)


def measured_report(
    name: str,
    runs_dir: Path,
    split: SplitSpec,
    *,
    attacked: bool = True,
    tell: Callable[[float, str], None] = lambda share, what: None,
) -> Report:
    """The report of a teacher as it is kept, measured first as far as it is missing. Raises TeacherError.

    ``attacked=False`` asks for no more than what takes no attack: labels and features. ``tell``: share 0..1, next.
    """
    path = report_file(runs_dir, name, split)
    if (kept := _saved_report(path, attacked)) is not None:
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    tell(0, "Waiting for its turn")
    with FileLock(path.parent / "reports.lock"):  # two at a time would each take twice as long
        if (kept := _saved_report(path, attacked)) is None:
            kept = _measure_and_save(path, name, runs_dir, split, attacked, tell)
    return kept


def _saved_report(path: Path, attacked: bool) -> Report | None:
    report = Report.load(path) if path.exists() else None
    return report if report is None or report.attacked or not attacked else None


def _measure_and_save(
    path: Path, name: str, runs_dir: Path, split: SplitSpec, attacked: bool, tell: Callable[[float, str], None]
) -> Report:
    """Measure, and leave the report at ``path``: first with labels only, in the end with all of it."""
    teacher = load_teacher(name, runs_dir)
    kept = None
    for step in measure(teacher, load_pair(teacher.card.pair, teacher.card.image_side), split, pick_device()):
        tell(step.share, step.what)
        if step.report is not None and (kept is None or step.share == 1):
            step.report.save(path)
            kept = step.report
        if kept is not None and not attacked:
            break
    return kept


if __name__ == "__main__":
    main()
