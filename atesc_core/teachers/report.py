"""Report on a teacher on real ID and OOD validation images, which `measurement` writes. Needs no PyTorch.

It shows which ε and which score part the domains: choices, so that test images take no part in them. It is only
displayed: no student learns from it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atesc_core.domains import read_pair
from atesc_core.files import atomic_write, load_arrays, read_cached
from atesc_core.robustness.detection import auroc
from atesc_core.robustness.oracle import Oracle
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.cards import card_file, read_card, weights_file
from atesc_core.vocabulary import Metric

ATTACKED_IMAGES = 250  # attacked validation images of each domain; labels are measured for all of them
EPSILONS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # 1/255
PREMISE_GAP = 10.0  # points of robust share: a smaller difference of ATTACKED_IMAGES images may be chance
FORMAT = 5  # of the file, with the names of its arrays
SCORE = "_score_"  # in names of arrays, between the domain and the score


@dataclass(frozen=True)
class DomainReport:
    """A teacher on the M validation images of one domain; the first N are attacked (N = 0: not attacked yet)."""

    labels: NDArray[np.int64]  # (M,) the true classes
    predicted: NDArray[np.int64]  # (M,) the teacher's labels
    confidence: NDArray[np.float32]  # (M,) the probability of that label
    images: NDArray[np.uint8]  # (N, 3, H, W)
    features: NDArray[np.float32]  # (N, F), the penultimate layer
    robust_share: NDArray[np.floating[Any]]  # (E,) per cent of the N images that are robust at each ε
    scores: dict[str, NDArray[np.float32]] = field(
        default_factory=dict
    )  # (N,) each, for the names in SCORES and "oracle"

    def score(self, name: str) -> NDArray[np.float32]:
        """(N,) values of a score in SCORES or of the oracle; empty if not measured yet."""
        return self.scores.get(name, np.empty(0, np.float32))

    @property
    def min_eps(self) -> NDArray[np.float32]:
        """(N,) in 1/255; empty if not measured yet."""
        return self.score("min_eps")


@dataclass(frozen=True, eq=False)
class Report:
    """A teacher on the validation images of both domains of its pair."""

    id: DomainReport
    ood: DomainReport
    epsilons: NDArray[np.float64]  # (E,) in 1/255
    id_classes: tuple[str, ...]  # names of the ID domain's classes, which are the teacher's labels
    ood_classes: tuple[str, ...]
    target: int | None  # the label that an NTL teacher of this pair gives to OOD images; None in close-set
    metric: Metric  # the metric on OOD images
    oracle: Oracle | None = None  # fitted on training images; None if no image is attacked yet

    def hits(self, domain: str) -> NDArray[np.bool_]:
        """(M,) whether an image got its true label or, on OOD with a target, the target. Mean: the metric."""
        side = getattr(self, domain)
        hits: NDArray[np.bool_] = side.predicted == (
            side.labels if domain == "id" or self.target is None else self.target
        )
        return hits

    def confusion(self, domain: str) -> NDArray[np.int64]:
        """(R, C) number of validation images of true class r with label c."""
        side, rows = getattr(self, domain), len(getattr(self, f"{domain}_classes"))
        flat = side.labels * len(self.id_classes) + side.predicted
        return np.bincount(flat, minlength=rows * len(self.id_classes)).reshape(rows, -1)

    @property
    def attacked(self) -> bool:
        """Whether the attack is measured too."""
        return len(self.id.min_eps) > 0 and len(self.ood.min_eps) > 0

    def auroc(self, score: str) -> float:
        """Area under the ROC curve of the score as a detector of OOD images, 0..1."""
        return auroc(self.id.score(score), self.ood.score(score))

    def widest_gap(self) -> tuple[float, float]:
        """The ε (1/255) at which the robust shares of OOD and ID differ most, and the gap OOD − ID, in points."""
        gaps = self.ood.robust_share - self.id.robust_share
        return float(self.epsilons[gaps.argmax()]), float(gaps.max())

    def premise_range(self) -> tuple[float, float] | None:
        """The lowest and highest ε (1/255) between which OOD images are more robust than ID images, as a split needs.

        Around the widest gap, the robust share of OOD stays above that of ID by at least PREMISE_GAP. None if it
        nowhere is.
        """
        holds = self.ood.robust_share - self.id.robust_share >= PREMISE_GAP
        widest = int((self.ood.robust_share - self.id.robust_share).argmax())
        if not holds[widest]:
            return None
        fails = np.flatnonzero(~holds)
        low = max(fails[fails < widest], default=-1) + 1
        high = min(fails[fails > widest], default=len(holds)) - 1
        return float(self.epsilons[low]), float(self.epsilons[high])

    def save(self, path: Path) -> None:
        """Write the report atomically."""
        domains = {"id": self.id, "ood": self.ood}
        arrays = {f"{domain}_{name}": getattr(part, name) for domain, part in domains.items() for name in _arrays()}
        arrays |= {
            f"{domain}{SCORE}{name}": values for domain, part in domains.items() for name, values in part.scores.items()
        }
        if self.oracle is not None:
            arrays |= {"oracle_weight": self.oracle.weight, "oracle_bias": self.oracle.bias}
        facts = {name: getattr(self, name) for name in ("id_classes", "ood_classes", "target", "metric")}
        with atomic_write(path, several_writers=True) as file:
            np.savez_compressed(file, epsilons=self.epsilons, facts=json.dumps(facts), **arrays)

    @classmethod
    def load(cls, path: Path) -> Report:
        """The report that `save` wrote.

        Raises:
            FileNotFoundError: there is no file; or it was damaged, and is deleted.
        """
        return read_cached(path, cls._load)

    @classmethod
    def _load(cls, path: Path) -> Report:
        arrays = load_arrays(path)
        facts = json.loads(str(arrays["facts"]))
        oracle = Oracle(arrays["oracle_weight"], float(arrays["oracle_bias"])) if "oracle_weight" in arrays else None
        return cls(
            _domain_report(arrays, "id"),
            _domain_report(arrays, "ood"),
            arrays["epsilons"],
            tuple(facts["id_classes"]),
            tuple(facts["ood_classes"]),
            facts["target"],
            facts["metric"],
            oracle,
        )


def _domain_report(arrays: dict[str, Any], domain: str) -> DomainReport:
    prefix = domain + SCORE
    scores = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
    return DomainReport(**{name: arrays[f"{domain}_{name}"] for name in _arrays()}, scores=scores)


def _arrays() -> list[str]:
    """Names of the fields of a DomainReport that are one array each."""
    return [each.name for each in fields(DomainReport) if each.name != "scores"]


def report_file(runs_dir: Path, name: str, split: SplitSpec, images: int = ATTACKED_IMAGES) -> Path:
    """Path of a teacher's report, whether or not it exists. Its name is a hash of everything that it depends on.

    Raises:
        TeacherError: there is no such teacher.
    """
    card, weights = read_card(card_file(name, runs_dir)), weights_file(name, runs_dir)
    attack = split.model_dump(include={"epsilon", "max_epsilon", "steps"})
    # The report depends on the pair's target and trigger, which the code may change, but not on name and accuracies.
    depends_on = [FORMAT, card.arch, card.image_side, repr(read_pair(card.pair)), attack, images, EPSILONS]
    digest = hashlib.sha256(json.dumps(depends_on).encode() + weights.read_bytes()).hexdigest()
    return Path(runs_dir) / "cache" / f"report-{digest[:24]}.npz"
