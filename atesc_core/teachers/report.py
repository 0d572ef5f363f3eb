"""What a teacher does with real ID and OOD images. To be looked at only: no student ever learns from it.

    python -m atesc_core.teachers.report NAME --runs-dir DIR

measures in a process of its own, prints its progress as JSON lines, and leaves the result in DIR/cache,
under a name that is a hash of everything that it depends on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from atesc_core.device import pick_device
from atesc_core.domains import find_pair
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData, load_pair
from atesc_core.errors import TeacherError
from atesc_core.jobs import report_progress
from atesc_core.robustness.detection import auroc
from atesc_core.robustness.oracle import Oracle
from atesc_core.robustness.scores import all_scores, robust_share
from atesc_core.specs.base import parse
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.zoo import SHIPPED, Teacher, list_teachers, load_teacher
from atesc_core.training.evaluation import predict

IMAGES = 250  # test images of each domain that are attacked; labels are given to all of them
EPSILONS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # 1/255
BATCH = 100
ORACLE_IMAGES = 1000  # training images of each domain that the oracle is fitted on
SCORES_COST = 20  # all scores of an image cost as much time as so many points of the robust-share curve
FORMAT = 3  # of the cached file


@dataclass(frozen=True)
class Side:
    """A teacher on one domain's test set of M images, of which the first N are attacked (then empty no more)."""

    labels: np.ndarray  # (M,) int64, the true classes
    given: np.ndarray  # (M,) int64, the teacher's label
    confidence: np.ndarray  # (M,) float32, the probability of that label
    images: np.ndarray  # (N, 3, H, W) uint8
    features: np.ndarray  # (N, F) float32, the penultimate layer
    robust_share: np.ndarray  # (E,) per cent of the N that are robust at each ε
    scored: dict[str, np.ndarray] = field(default_factory=dict)  # (N,) float32 each, by name in SCORES, and "oracle"

    def scores(self, name: str) -> np.ndarray:
        """(N,) of a name in SCORES or of the oracle; empty as long as it is not measured."""
        return self.scored.get(name, np.empty(0, np.float32))

    @property
    def min_eps(self) -> np.ndarray:
        """(N,) in 1/255."""
        return self.scores("min_eps")


@dataclass(frozen=True, eq=False)
class Report:
    id: Side
    ood: Side
    epsilons: np.ndarray  # (E,) in 1/255
    id_classes: tuple[str, ...]  # names of the ID domain's classes, which are the teacher's labels
    ood_classes: tuple[str, ...]
    target: int | None  # the label that an NTL teacher of this pair gives to OOD images; None in close-set
    metric: str  # what the OOD side is measured by: oacc, olacc or asr
    oracle: Oracle | None = None  # fitted on training images; None as long as nothing is attacked

    def hits(self, domain: str) -> np.ndarray:
        """(M,) bool: given the true class or, on OOD with a target, the target. Their mean is the metric."""
        side = getattr(self, domain)
        return side.given == (side.labels if domain == "id" or self.target is None else self.target)

    def confusion(self, domain: str) -> np.ndarray:
        """(R, C) test images of true class r given label c."""
        side, rows = getattr(self, domain), len(getattr(self, f"{domain}_classes"))
        flat = side.labels * len(self.id_classes) + side.given
        return np.bincount(flat, minlength=rows * len(self.id_classes)).reshape(rows, -1)

    @property
    def attacked(self) -> bool:
        """Whether robustness is measured too."""
        return len(self.id.min_eps) > 0 and len(self.ood.min_eps) > 0

    def auroc(self, score: str) -> float:
        """Of the score as a detector of OOD images, 0..1."""
        return auroc(self.id.scores(score), self.ood.scores(score))

    def widest_gap(self) -> tuple[float, float]:
        """ε (1/255) at which most more of OOD than of ID is robust, and that difference in points."""
        gaps = self.ood.robust_share - self.id.robust_share
        return float(self.epsilons[gaps.argmax()]), float(gaps.max())

    def save(self, path: Path) -> None:
        """Written under another name and renamed: the file is there whole or not at all."""
        sides = {"id": self.id, "ood": self.ood}
        arrays = {f"{domain}_{name}": getattr(side, name) for domain, side in sides.items() for name in _arrays()}
        arrays |= {
            f"{domain}{SCORE}{name}": values for domain, side in sides.items() for name, values in side.scored.items()
        }
        if self.oracle is not None:
            arrays |= {"oracle_weight": self.oracle.weight, "oracle_bias": self.oracle.bias}
        facts = {name: getattr(self, name) for name in ("id_classes", "ood_classes", "target", "metric")}
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
            try:
                np.savez_compressed(file, epsilons=self.epsilons, facts=json.dumps(facts), **arrays)
            except BaseException:
                Path(file.name).unlink()
                raise
        Path(file.name).replace(path)

    @classmethod
    def load(cls, path: Path) -> Report:
        """Raises FileNotFoundError."""
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        sides = [
            Side(
                **{name: arrays[f"{domain}_{name}"] for name in _arrays()},
                scored={
                    name.removeprefix(domain + SCORE): values
                    for name, values in arrays.items()
                    if name.startswith(domain + SCORE)
                },
            )
            for domain in ("id", "ood")
        ]
        facts = json.loads(str(arrays["facts"]))
        oracle = Oracle(arrays["oracle_weight"], float(arrays["oracle_bias"])) if "oracle_weight" in arrays else None
        return cls(
            *sides,
            arrays["epsilons"],
            tuple(facts["id_classes"]),
            tuple(facts["ood_classes"]),
            facts["target"],
            facts["metric"],
            oracle,
        )


SCORE = "_score_"  # in the file, between a domain and a score's name


def _arrays() -> list[str]:
    """Names of the fields of a Side that are one array each."""
    return [own.name for own in fields(Side) if own.name != "scored"]


@dataclass(frozen=True)
class Step:
    """How far a measurement has come. ``report``: as it is now, labels first, attacks at the end."""

    share: float  # done, 0..1
    what: str  # comes next
    report: Report | None


def measure(
    teacher: Teacher,
    data: PairData,
    split: SplitSpec,
    device: torch.device,
    images: int = IMAGES,
    epsilons: tuple[float, ...] = EPSILONS,
) -> Iterator[Step]:
    """Measure ``teacher`` on the test sets of ``data``, attacking the first ``images`` of each as ``split`` says.

    Same teacher, data and split: same numbers (bit-identical on CPU). The last step holds the whole report.
    """
    model = teacher.model.to(device)
    tests = {"id": data.id.test.to(device), "ood": data.ood.test.to(device)}
    yield Step(0.0, "Labels", None)
    sides = {domain: _labelled(model, test, images) for domain, test in tests.items()}
    x = {domain: test.images[:images] for domain, test in tests.items()}
    count = sum(map(len, x.values()))
    total, done = (SCORES_COST + len(epsilons)) * count, 0
    oracle = None

    def step(what: str) -> Step:
        measured = Report(
            **sides,
            epsilons=np.asarray(epsilons),
            id_classes=data.id.classes,
            ood_classes=data.ood.classes,
            target=data.pair.target,
            metric=data.pair.metric,
            oracle=oracle,
        )
        return Step(done / total, what, measured)

    yield step("Scores")
    both, random = torch.cat(list(x.values())), torch.Generator(device).manual_seed(0)
    batches = -(-count // BATCH)
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


def _labelled(model: torch.nn.Module, test: ImageSet, images: int) -> Side:
    """What takes no attack."""
    x = test.images[:images]
    confidence, given = predict(model, test.images).softmax(1).max(1)
    return Side(
        labels=test.labels.cpu().numpy(),
        given=given.cpu().numpy(),
        confidence=confidence.cpu().numpy(),
        images=(x * 255).round().to(torch.uint8).cpu().numpy(),
        features=_features(model, x),
        robust_share=np.empty(0, np.float32),
    )


def report_file(runs_dir: Path, name: str, split: SplitSpec, images: int = IMAGES) -> Path:
    """Where the report of a teacher lies, or would lie. Raises TeacherError where there is no such teacher."""
    card = next((card for card in list_teachers(runs_dir) if card.name == name), None)
    if card is None:
        raise TeacherError(f"teacher: {name!r} is not known")
    folders = (SHIPPED, Path(runs_dir) / "teachers")
    weights = next(folder / f"{name}.safetensors" for folder in folders if (folder / f"{name}.json").exists())
    how = split.model_dump(include={"epsilon", "max_epsilon", "steps"})
    # The name and the accuracies do not matter; the pair's target and trigger do, and may change with the code.
    what = [FORMAT, card.arch, card.image_side, repr(find_pair(card.pair)), how, images, EPSILONS]
    digest = hashlib.sha256(json.dumps(what).encode() + weights.read_bytes()).hexdigest()
    return Path(runs_dir) / "cache" / f"report-{digest[:24]}.npz"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--split", type=json.loads, default={}, help="fields of SplitSpec, as JSON")
    asked = parser.parse_args()
    split = parse(SplitSpec, asked.split)
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first

    ready(asked.name, asked.runs_dir, split, tell=report_progress)


def ready(
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
    if (kept := _kept(path, attacked)) is not None:
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    tell(0, "Waiting for its turn")
    with FileLock(path.parent / "reports.lock"):  # two at a time would each take twice as long
        if (kept := _kept(path, attacked)) is None:
            kept = _write(path, name, runs_dir, split, attacked, tell)
    return kept


def _kept(path: Path, attacked: bool) -> Report | None:
    report = Report.load(path) if path.exists() else None
    return report if report is None or report.attacked or not attacked else None


def _write(
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
