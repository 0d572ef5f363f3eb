"""TODO: what this module is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from atesc_core import figures
from atesc_core.figures.accuracy import Curve
from atesc_core.runs import DistillationRun, RunStore, Snapshot
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import ESCAPE_NAMES, SCORE_NAMES

if TYPE_CHECKING:
    from atesc_core.robustness.oracle import Oracle
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

import numpy as np
import pandas as pd

MAX_EPOCHS = 24  # epochs whose features are measured for a curve


def run_curve(
    run: DistillationRun,
    store: RunStore,
    cards: dict[str, TeacherCard],
    ghost: bool = False,
    changes: pd.DataFrame | None = None,
) -> Curve:
    """A run's accuracies by epoch, ready to be drawn."""
    kind = cards[run.spec.teacher].kind if run.spec.teacher in cards else "NTL"
    return Curve(
        store.epochs(run.id),
        f"{ESCAPE_NAMES[run.spec.escape.kind]}, {kind} teacher",
        kind,
        run.spec.escape.kind,
        ghost,
        changes,
        uid=run.id,
    )


def threshold_changes(run: DistillationRun, store: RunStore) -> pd.DataFrame:
    """Columns epoch (fractional) and threshold: where the line was set anew; of one round, what it was split by."""
    history = store.history(run.id)
    at = history[history["kind"] == "threshold"].drop_duplicates(["epoch", "round"], keep="last")
    return pd.DataFrame({"epoch": at["epoch"] - 1 + at["round"] / run.rounds, "threshold": at["value"]})


def comparable_runs(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> list[DistillationRun]:
    """What to see a run against: the newest finished plain students of its own teacher and of the pair's SL one,
    of the same seed and as many images an epoch."""
    found: dict[str, DistillationRun] = {}
    for other in _similar_runs(run, store, cards):
        if other.spec.escape.kind == "none" and (
            other.spec.teacher == run.spec.teacher or cards[other.spec.teacher].kind == "SL"
        ):
            found.setdefault(other.spec.teacher, other)
    if run.spec.escape.kind == "none":
        found.pop(run.spec.teacher, None)
    return list(found.values())


def counterpart(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> DistillationRun | None:
    """The newest such student of the pair's other kind of teacher: SL for NTL, NTL for SL. A plain one before one that
    escapes."""
    others = [
        other
        for other in _similar_runs(run, store, cards)
        if cards[other.spec.teacher].kind != cards[run.spec.teacher].kind
    ]
    return min(others, key=lambda other: other.spec.escape.kind != "none", default=None)


def _similar_runs(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> list[DistillationRun]:
    """Other finished students of the same pair, seed and number of images an epoch, newest first."""
    if run.spec.teacher not in cards:
        return []

    def about(one: DistillationRun) -> tuple[Any, ...]:
        card = cards[one.spec.teacher]
        return card.pair, card.image_side, one.spec.seed, _images_per_epoch(one.spec)

    return [
        other
        for other in store.distillations()
        if other.status == "done" and other.id != run.id and other.spec.teacher in cards and about(other) == about(run)
    ]


def _images_per_epoch(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


def robust_curves(report: Report) -> pd.DataFrame:
    """Columns epsilon (1/255), id and ood (per cent robust)."""
    return pd.DataFrame({"epsilon": report.epsilons, "id": report.id.robust_share, "ood": report.ood.robust_share})


def class_accuracies(report: Report) -> pd.DataFrame:
    """Columns domain, class, accuracy (per cent that get the label they should, or that the trap gives), images."""
    frames = []
    for domain, names in (("id", report.id_classes), ("ood", report.ood_classes)):
        hits, labels = report.hits(domain), getattr(report, domain).labels
        rows = [
            (domain, names[label], 100 * hits[labels == label].mean(), int((labels == label).sum()))
            for label in range(len(names))
            if (labels == label).any()
        ]
        frames.append(pd.DataFrame(rows, columns=["domain", "class", "accuracy", "images"]))
    return pd.concat(frames, ignore_index=True)


def reference_points(report: Report, id_places: np.ndarray, ood_places: np.ndarray) -> pd.DataFrame:
    """A row a real image that has a place, (N, 2) and (M, 2): x, y, domain, id, class."""
    frames = []
    for domain, places in (("id", id_places), ("ood", ood_places)):
        names, labels = getattr(report, f"{domain}_classes"), getattr(report, domain).labels
        frames.append(
            pd.DataFrame(
                {
                    "x": places[:, 0],
                    "y": places[:, 1],
                    "domain": domain,
                    "id": [f"{domain}:{index}" for index in range(len(places))],
                    "class": [names[label] for label in labels[: len(places)]],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def evenly_thinned(epochs: Sequence[int]) -> list[int]:
    """Not more than AT_MOST of them, evenly, the first and the last included: what a curve over features shows."""
    at = np.unique(np.linspace(0, len(epochs) - 1, min(MAX_EPOCHS, len(epochs))).round().astype(int))
    return [epochs[index] for index in at]


@lru_cache(maxsize=8)
def oracle_scores(oracle: Oracle, shown: Snapshot) -> np.ndarray:
    """(N,) log-odds of OOD. Kept: of 20 000 images with 1 024 features they take 9 ms, and a page asks many times."""
    return oracle(shown.features)


def image_scores(shown: Snapshot, score: str, real: Report | None) -> np.ndarray:
    """(N,) scores of the synthetic images; the oracle's come from their features and the report."""
    return oracle_scores(real.oracle, shown) if score == "oracle" else shown.scores[score]


def available_scores(shown: Snapshot, real: Report | None) -> list[str]:
    """Names of the scores that these images have: a run of an earlier version has fewer; the oracle needs a report."""
    return [name for name in SCORE_NAMES if name in shown.scores or (name == "oracle" and real is not None)]


def labelled_scores(shown: Snapshot, score: str, real: Report) -> dict[figures.Images, tuple[np.ndarray, np.ndarray]]:
    """Real images as they are; synthetic ones as the oracle says: scores (N,), and which of the images are OOD (N,)."""
    from atesc_core.robustness.detection import labelled

    return {
        "real": labelled(real.id.scores(score), real.ood.scores(score)),
        "synthetic": (image_scores(shown, score, real), oracle_scores(real.oracle, shown) > 0),
    }
