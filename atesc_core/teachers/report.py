"""What a teacher does with real ID and OOD test images, as `measurement` leaves it on disk. Needs no PyTorch.

It is only shown: no student ever learns from it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from atesc_core.domains import find_pair
from atesc_core.robustness.detection import auroc
from atesc_core.robustness.oracle import Oracle
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.cards import card_file, read_card, weights_file

ATTACKED_IMAGES = 250  # test images of each domain that are attacked; labels are given to all of them
EPSILONS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # 1/255
FORMAT = 3  # of the cached file


@dataclass(frozen=True)
class DomainReport:
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
    id: DomainReport
    ood: DomainReport
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
            DomainReport(
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
    return [own.name for own in fields(DomainReport) if own.name != "scored"]


def report_file(runs_dir: Path, name: str, split: SplitSpec, images: int = ATTACKED_IMAGES) -> Path:
    """Where the report of a teacher is, or will be: its name is a hash of all that it depends on.

    Raises:
        TeacherError: there is no such teacher.
    """
    card, weights = read_card(card_file(name, runs_dir)), weights_file(name, runs_dir)
    attack = split.model_dump(include={"epsilon", "max_epsilon", "steps"})
    # The name and the accuracies do not matter; the pair's target and trigger do, and may change with the code.
    depends_on = [FORMAT, card.arch, card.image_side, repr(find_pair(card.pair)), attack, images, EPSILONS]
    digest = hashlib.sha256(json.dumps(depends_on).encode() + weights.read_bytes()).hexdigest()
    return Path(runs_dir) / "cache" / f"report-{digest[:24]}.npz"
