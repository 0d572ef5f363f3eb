"""Data frames and arrays for figures, from runs and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atesc_core import figures
from atesc_core.figures.accuracy import Curve
from atesc_core.figures.recalls import RecallRow
from atesc_core.robustness.detection import labelled
from atesc_core.robustness.oracle import Oracle
from atesc_core.runs import ClassRecalls, DistillationRun, RunStore, Snapshot
from atesc_core.runs.snapshots import read_batchnorm
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.batchnorm import BatchNormReport
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import ESCAPE_NAMES, SCORE_NAMES

MAX_EPOCHS = 24  # epochs of a curve whose features are measured


def run_curve(
    run: DistillationRun,
    store: RunStore,
    cards: dict[str, TeacherCard],
    ghost: bool = False,
    changes: pd.DataFrame | None = None,
) -> Curve:
    """A run's accuracies by epoch as a curve of ``accuracy``."""
    kind = cards[run.spec.teacher].kind if run.spec.teacher in cards else "NTL"
    return Curve(
        store.epochs(run.id),
        f"{ESCAPE_NAMES[run.spec.escape.kind]}, {kind} teacher",
        kind,
        run.spec.escape.kind,
        ghost,
        changes,
        curve_id=run.id,
    )


def recall_row(label: str, measured: Sequence[ClassRecalls | None], name: str = "") -> RecallRow | None:
    """The mean of one or several seeds as a row of ``recalls``; None if one of them was not measured.

    The trap label is that of all seeds, else none.
    """
    known = [each for each in measured if each is not None]
    if not known or len(known) < len(measured):
        return None
    by_class = zip(*(each.by_label for each in known), strict=True)
    present = [[recall for recall in of_class if recall is not None] for of_class in by_class]
    labels = {each.trap_label for each in known}
    means = [sum(values) / len(values) if values else None for values in present]
    return RecallRow(label, means, labels.pop() if len(labels) == 1 else None, name)


def threshold_changes(run: DistillationRun, store: RunStore) -> pd.DataFrame:
    """The run's threshold changes, the last of each round: columns epoch (fractional) and threshold.

    Of thresholds that were found epoch after epoch only the first.
    """
    history = store.history(run.id)
    changes = history[history["kind"] == "threshold"].drop_duplicates(["epoch", "round"], keep="last")
    found = changes["text"] == "auto"
    changes = changes[~(found & found.shift(fill_value=False))]
    return pd.DataFrame({"epoch": changes["epoch"] - 1 + changes["round"] / run.rounds, "threshold": changes["value"]})


def comparable_runs(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> list[DistillationRun]:
    """Runs to compare a run with: plain students of the same teacher and of the pair's SL teacher.

    Only the newest finished runs with the same seed and number of images an epoch.
    """
    by_teacher: dict[str, DistillationRun] = {}
    for other in _similar_runs(run, store, cards):
        if other.spec.escape.kind == "none" and (
            other.spec.teacher == run.spec.teacher or cards[other.spec.teacher].kind == "SL"
        ):
            by_teacher.setdefault(other.spec.teacher, other)
    if run.spec.escape.kind == "none":
        by_teacher.pop(run.spec.teacher, None)
    return list(by_teacher.values())


def counterpart(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> DistillationRun | None:
    """The newest similar student of the pair's other kind of teacher (SL or NTL), preferably a plain one."""
    candidates = [
        other
        for other in _similar_runs(run, store, cards)
        if cards[other.spec.teacher].kind != cards[run.spec.teacher].kind
    ]
    return min(candidates, key=lambda other: other.spec.escape.kind != "none", default=None)


def _similar_runs(run: DistillationRun, store: RunStore, cards: dict[str, TeacherCard]) -> list[DistillationRun]:
    """Other finished students of the same pair, seed and number of images an epoch, newest first."""
    if run.spec.teacher not in cards:
        return []

    def key(candidate: DistillationRun) -> tuple[Any, ...]:
        card = cards[candidate.spec.teacher]
        return card.pair, card.image_side, candidate.spec.seed, _images_per_epoch(candidate.spec)

    return [
        other
        for other in store.distillations()
        if other.status == "done" and other.id != run.id and other.spec.teacher in cards and key(other) == key(run)
    ]


def _images_per_epoch(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


def robust_curves(report: Report) -> pd.DataFrame:
    """Robust share of real validation images: columns epsilon (1/255), id and ood (per cent)."""
    return pd.DataFrame({"epsilon": report.epsilons, "id": report.id.robust_share, "ood": report.ood.robust_share})


def class_accuracies(report: Report) -> pd.DataFrame:
    """Accuracy by class: columns domain, class, accuracy (per cent; on OOD the pair's metric) and images."""
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


def reference_points(
    report: Report, id_positions: NDArray[np.floating], ood_positions: NDArray[np.floating]
) -> pd.DataFrame:
    """Real images on a map, one row each: columns x, y, domain, id, class.

    Args:
        report: The teacher's report.
        id_positions: (N, 2) of the first N ID validation images.
        ood_positions: (M, 2) of the first M OOD validation images.
    """
    frames = []
    for domain, positions in (("id", id_positions), ("ood", ood_positions)):
        names, labels = getattr(report, f"{domain}_classes"), getattr(report, domain).labels
        frames.append(
            pd.DataFrame(
                {
                    "x": positions[:, 0],
                    "y": positions[:, 1],
                    "domain": domain,
                    "id": [f"{domain}:{index}" for index in range(len(positions))],
                    "class": [names[label] for label in labels[: len(positions)]],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def batchnorm_by_epoch(
    run_id: str, store: RunStore, report: BatchNormReport, read: Callable[[Path], NDArray[np.float32]] = read_batchnorm
) -> dict[int, NDArray[np.float32]]:
    """Epoch -> (2, K), statistics of the teacher's BatchNorm inputs on the synthetic images of at most MAX_EPOCHS.

    Epochs of another teacher that had the same name are left out, and those that were deleted meanwhile.

    Args:
        run_id: The run's id.
        store: The store that has the run.
        report: Of the run's teacher.
        read: Reads ``Snapshot.batchnorm`` of a file; a page passes a cached one.
    """
    statistics = {}
    for epoch in evenly_thinned(store.snapshot_epochs(run_id)):
        with suppress(FileNotFoundError):
            statistics[epoch] = read(store.snapshot_file(run_id, epoch))
    return {epoch: values for epoch, values in statistics.items() if values.shape == report.running.shape}


def evenly_thinned(epochs: Sequence[int]) -> list[int]:
    """At most MAX_EPOCHS of the epochs, evenly spaced, with the first and the last."""
    indices = np.unique(np.linspace(0, len(epochs) - 1, min(MAX_EPOCHS, len(epochs))).round().astype(int))
    return [epochs[index] for index in indices]


@lru_cache(maxsize=8)
def oracle_scores(oracle: Oracle, snapshot: Snapshot) -> np.ndarray:
    """(N,) log-odds of OOD of synthetic images. Cached: 9 ms for 20 000 images with 1 024 features."""
    return oracle(snapshot.features)


def image_scores(snapshot: Snapshot, score: str, real: Report | None) -> np.ndarray:
    """(N,) scores of the synthetic images. The score of the oracle needs the report ``real``."""
    if score != "oracle":
        return snapshot.scores[score]
    if real is None or real.oracle is None:
        raise ValueError("score: 'oracle' needs the teacher's report on attacked images")
    return oracle_scores(real.oracle, snapshot)


def available_scores(snapshot: Snapshot, real: Report | None) -> list[str]:
    """Names of the scores that these images have. The score of the oracle needs the report ``real``."""
    return [name for name in SCORE_NAMES if name in snapshot.scores or (name == "oracle" and real is not None)]


def labelled_scores(
    snapshot: Snapshot, score: str, real: Report
) -> dict[figures.Images, tuple[np.ndarray, np.ndarray]]:
    """For real and synthetic images: scores (N,), and (N,) bool, which are OOD (by the oracle for synthetic images)."""
    return {
        "real": labelled(real.id.score(score), real.ood.score(score)),
        "synthetic": (image_scores(snapshot, score, real), image_scores(snapshot, "oracle", real) > 0),
    }
