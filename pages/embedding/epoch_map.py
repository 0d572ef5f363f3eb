"""One map of a feature space: an epoch's synthetic images among real validation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from atesc_core import figures
from atesc_core.figures.run_data import evenly_thinned
from atesc_core.jobs import Job
from atesc_core.runs import DistillationRun, Snapshot
from pages.embedding.controls import MapOptions
from pages.embedding.feature_space import FeatureSpace, Method, Subject
from pages.shared.state import selection
from pages.shared.state.threshold import threshold_in_view
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ChartResult, chart, last_selected, thumbnails
from pages.shared.ui.progress import show_job

HEIGHT, HEIGHT_OF_TWO_MAPS = 560, 430  # px of a map


@dataclass(frozen=True)
class EpochMap:
    """A run's synthetic images of one epoch, on a map of one feature space."""

    subject: Subject
    space: FeatureSpace
    snapshot: Snapshot
    selected: selection.Selection | None = None  # the selection, if it is of this epoch
    key: str = "map"  # key of the chart

    @property
    def run(self) -> DistillationRun:
        """The run whose images are on the map."""
        return self.subject.run

    @property
    def threshold(self) -> float:
        """The threshold that splits the images: the one that the user chose, or else the snapshot's."""
        return threshold_in_view(self.run, self.snapshot)

    @property
    def scores(self) -> np.ndarray:
        """(N,) of the images, by the score that splits the run."""
        return self.snapshot.scores[self.run.spec.split.score]

    @property
    def fragile(self) -> np.ndarray:
        """(N,) bool: which images are fragile at the threshold."""
        return self.scores <= self.threshold

    @property
    def distances(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) each: mean distance to the nearest real ID images, and to the nearest OOD ones."""
        return self.space.distances(self.snapshot.epoch)


def draw_map(
    epoch_map: EpochMap, options: MapOptions, epochs: list[int], shared_method: Method | None = None
) -> tuple[list[str], bool]:
    """Draw one map.

    Args:
        epoch_map: the images and their feature space.
        options: how the map is drawn.
        epochs: all epochs of the run that have images; the map's extent covers them.
        shared_method: the method of both maps, where this is one of two.

    Returns:
        Ids of the real images under the lasso (the synthetic ones are the selection), and whether UMAP is being
        computed.
    """
    method, job = drawable_method(options.method, epoch_map)
    method = shared_method or method
    reference, synthetic = (
        epoch_map.space.reference(method, epoch_map.subject.report),
        _synthetic_points(epoch_map, method),
    )
    all_epochs = [
        epoch_map.space.positions(method, epoch_map.space.synthetic(epoch)) for epoch in evenly_thinned(epochs)
    ]
    within = pd.DataFrame(
        np.concatenate([xy for xy in all_epochs if xy is not None] or [np.empty((0, 2))]), columns=["x", "y"]
    )
    figure = figures.embedding(
        reference,
        synthetic,
        appearance.mode(),
        colour=options.colour,
        method=method,
        ground=options.real_images,
        score=epoch_map.run.spec.split.score,
        threshold=epoch_map.threshold,
        class_names=epoch_map.subject.card.class_names,
        within=within,
    )
    figure.update_layout(selectionrevision=str(epoch_map.snapshot.epoch))
    if method == "PCA":  # its first direction is far longer than its second: fill the card with both
        figure.update_yaxes(scaleanchor=None)
    ids, images, captions = point_thumbnails(epoch_map, options.real_images)
    revision = f"{epoch_map.run.id} {options.network} {method} {options.real_images}"
    draw = partial(
        chart,
        figure,
        epoch_map.key,
        height=HEIGHT_OF_TWO_MAPS if shared_method else HEIGHT,
        scroll_zoom=True,
        revision=revision,
        thumbnails=thumbnails(images, ids, captions),
        label=f"Map of {epoch_map.subject.card.name}",
    )
    real: list[str] = []
    if epoch_map.key == "map":
        real = _draw_selectable(epoch_map, draw, revision, ids)
    else:
        draw()
    _captions(epoch_map, method, job)
    return real, job is not None and job.state not in ("stopped", "failed")


def drawable_method(chosen: Method, epoch_map: EpochMap) -> tuple[Method, Job | None]:
    """The method whose map can be drawn now, and UMAP's job if UMAP was chosen and is not complete yet."""
    if chosen == "PCA":
        return "PCA", None
    umap, features = epoch_map.space.umap, epoch_map.space.synthetic(epoch_map.snapshot.epoch)
    if umap.coordinates() is None:
        return "PCA", umap.start()
    return "UMAP", None if umap.transform(features) is not None else umap.job


def _synthetic_points(epoch_map: EpochMap, method: Method) -> pd.DataFrame | None:
    """A row for each synthetic image: x, y, id, fragile, score, class, to_id, to_ood; None until UMAP is done."""
    xy = epoch_map.space.positions(method, epoch_map.space.synthetic(epoch_map.snapshot.epoch))
    if xy is None:
        return None
    to_id, to_ood = epoch_map.distances
    return pd.DataFrame(
        {
            "x": xy[:, 0],
            "y": xy[:, 1],
            "id": _point_ids(epoch_map),
            "fragile": epoch_map.fragile,
            "score": epoch_map.scores,
            "class": epoch_map.snapshot.teacher_probs.argmax(1),
            "to_id": to_id,
            "to_ood": to_ood,
        }
    )


def _draw_selectable(epoch_map: EpochMap, draw: Callable[..., ChartResult], revision: str, ids: list[str]) -> list[str]:
    """Draw the map so that its points can be selected; return the ids of the selected real images."""
    indices, known = epoch_map.selected.indices if epoch_map.selected else (), set(ids)
    lasso = [point for point in last_selected(epoch_map.key, revision) if point in known]
    current = _synthetic_indices(epoch_map, lasso) == list(indices)  # False: another chart changed the selection since
    draw(
        select="lasso",
        on_select=partial(_select, epoch_map),
        selected=lasso if current else [point_id(epoch_map, index) for index in indices],
    )
    return [point for point in lasso if current and point.startswith(("id:", "ood:"))]


def _select(epoch_map: EpochMap, ids: tuple[str, ...]) -> None:
    selection.select(epoch_map.run, epoch_map.snapshot.epoch, _synthetic_indices(epoch_map, ids))


def _synthetic_indices(epoch_map: EpochMap, ids: Sequence[str]) -> list[int]:
    """Indices of this epoch's synthetic images among the ids, ascending."""
    prefix = f"{epoch_map.snapshot.epoch}:"
    return sorted(int(point.removeprefix(prefix)) for point in ids if point.startswith(prefix))


def _point_ids(epoch_map: EpochMap) -> list[str]:
    """Ids of all synthetic images' points. They contain the epoch, so that a selection ends when the epoch changes."""
    return [point_id(epoch_map, index) for index in range(len(epoch_map.scores))]


def point_id(epoch_map: EpochMap, index: int) -> str:
    """Id of a synthetic image's point."""
    return f"{epoch_map.snapshot.epoch}:{index}"


def point_thumbnails(epoch_map: EpochMap, real_images: str) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, images and captions of all points that show an image on hover."""
    to_id, to_ood = epoch_map.distances
    names, fragile = epoch_map.subject.card.class_names, epoch_map.fragile
    ids, images = _point_ids(epoch_map), [epoch_map.snapshot.images]
    captions = [
        f"synthetic, {'fragile' if fragile[index] else 'robust'}\nteacher: {names[row.argmax()]}, "
        f"{100 * row.max():.1f} % sure\nk-NN distance {to_id[index]:.1f} to ID, {to_ood[index]:.1f} to OOD"
        for index, row in enumerate(epoch_map.snapshot.teacher_probs)
    ]
    for domain in ("id", "ood") if real_images == "points" else ():
        report = epoch_map.subject.report
        side, true = getattr(report, domain), getattr(report, f"{domain}_classes")
        ids += [f"{domain}:{index}" for index in range(len(side.images))]
        images.append(side.images)
        captions += [
            f"{domain.upper()} validation image\n{true[label]}, teacher: {names[given]}"
            for label, given in zip(side.labels[: len(side.images)], side.predicted, strict=False)
        ]
    return ids, np.concatenate(images), captions


def _captions(epoch_map: EpochMap, method: Method, job: Job | None) -> None:
    """Draw what the map shows, and the progress of UMAP."""
    if job is not None:
        note = "This is PCA until UMAP is there." if method == "PCA" else ""
        show_job(job, "UMAP", epoch_map.space.umap.restart, unaffected="PCA stands.", note=note, key=epoch_map.key)
    real = f"{len(epoch_map.space.id)} ID and {len(epoch_map.space.ood)} OOD validation images"
    share = f" · PCA, {100 * sum(epoch_map.space.pca.explained):.1f} % of the variance" if method == "PCA" else ""
    hint = "lasso or click to see images" if epoch_map.key == "map" else "point at a dot to see its image"
    elements.caption(
        f"{formats.measured_on('synthetic', len(epoch_map.scores), epoch_map.snapshot.epoch)} · real: {real} · "
        f"features of the {epoch_map.space.model_name}{share} · {hint}"
    )
