"""From a run to its figures: where each gets its data. The app and the command line both draw from here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core import figures
from atesc_core.errors import FigureNotReady
from atesc_core.figures.drift import Drift
from atesc_core.figures.export import files
from atesc_core.figures.export.recipe import Panel, Recipe
from atesc_core.figures.export.sheet import Sheet, draw_sheet
from atesc_core.figures.run_data import (
    class_accuracies,
    evenly_thinned,
    labelled_scores,
    reference_points,
    robust_curves,
    run_curve,
    threshold_changes,
)
from atesc_core.runs import DistillationRun, RunStore, Snapshot
from atesc_core.specs.command import run_command
from atesc_core.specs.run import SplitSpec

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report


@dataclass(frozen=True)
class Sources:
    """Where figures get what they show.

    ``report``: (teacher, split, attacked) -> what the teacher does with real test images, with attacks or without, or
    None while that is not known. ``patient``: wait for a UMAP that is not there instead of refusing.
    """

    store: RunStore
    cards: Callable[[], dict[str, TeacherCard]]
    report: Callable[[str, SplitSpec, bool], Report | None]
    patient: bool = False


def measuring_sources(store: RunStore, tell: Callable[[float, str], None] = lambda share, what: None) -> Sources:
    """Sources that measure here and now what is not known yet. ``tell``: share 0..1 of a measurement, what is next."""

    def cards() -> dict[str, TeacherCard]:
        from atesc_core.teachers import list_teachers

        return {card.name: card for card in list_teachers(store.runs_dir)}

    def report(teacher: str, split: SplitSpec, attacked: bool) -> Report:
        from atesc_core.teachers.measurement import measured_report

        return measured_report(teacher, store.runs_dir, split, attacked=attacked, tell=tell)

    return Sources(store, cards, report, patient=True)


def draw_panel(panel: Panel, sources: Sources) -> go.Figure:
    """The figure with mode="print".

    Raises NotYet, UnknownRun, StoreError for an epoch without images, and ValueError for a score that is not kept.
    """
    return FIGURE_BUILDERS[panel.figure](PanelRequest(panel, sources, sources.store.get_distillation(panel.run)))


def draw_panels(recipe: Recipe, sources: Sources) -> list[go.Figure]:
    """A figure a panel. Raises as ``draw`` does."""
    return [draw_panel(panel, sources) for panel in recipe.panels]


def recipe_provenance(recipe: Recipe, drawn: Sequence[go.Figure], store: RunStore) -> dict[str, Any]:
    """Where the figure comes from: the first panel's run on top, those of other panels below ``other_runs``."""
    runs = [store.get_distillation(run_id) for run_id in dict.fromkeys(panel.run for panel in recipe.panels)]
    first, *others = [_run_facts(run, store) for run in runs]
    more = {"other_runs": others} if others else {}
    return files.provenance(
        drawn,
        **first,
        **more,
        figure_command=recipe.command(),
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
    )


def _run_facts(run: DistillationRun, store: RunStore) -> dict[str, Any]:
    """``made_by``: the code that began the run, where the figure's own may be a later one."""
    history = store.history(run.id)
    begun = history.loc[history["kind"] == "started", "text"]
    return {
        "run": run.id,
        "spec": run.spec.model_dump(mode="json"),
        "command": run_command(run.spec),
        "device": run.device,
        "made_by": next(filter(None, begun), None),
        "status": run.status,
        "epochs_done": run.epoch if run.metrics else 0,
    }


def write_recipe(recipe: Recipe, sources: Sources, folder: Path) -> list[Path]:
    """Every file of the recipe, in ``folder``: what the app's "All, zipped" holds.

    Data and origin come first: they are there where a browser is missing, and BrowserMissing is raised.
    """
    drawn = draw_panels(recipe, sources)
    facts = recipe_provenance(recipe, drawn, sources.store)
    written = [
        write_bytes(folder / f"{recipe.stem}.csv", files.figure_csv(drawn).encode()),
        write_bytes(folder / f"{recipe.stem}.yaml", files.sidecar(facts).encode()),
    ]
    sheet = draw_recipe(recipe, drawn)
    return written + [
        write_bytes(folder / f"{recipe.stem}.{kind}", files.sheet_file(sheet, kind, facts, recipe.paper.dpi))
        for kind in recipe.formats
    ]


def draw_recipe(recipe: Recipe, drawn: Sequence[go.Figure], stop: threading.Event | None = None) -> Sheet:
    """Raises as ``draw_sheet`` does."""
    return draw_sheet(drawn, **recipe.paper.layout(), across=recipe.across, labels=recipe.labels, stop=stop)


def write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# ── runs beside runs ───────────────────────────────────────────────────────────────────────────────────


# ── real images beside synthetic ones ──────────────────────────────────────────────────────────────────


# ── the figures ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class PanelRequest:
    """A panel that is being drawn, and the run it is of."""

    panel: Panel
    sources: Sources
    run: DistillationRun

    @cached_property
    def shown(self) -> Snapshot:
        """The synthetic images of the epoch. Raises NotYet, StoreError."""
        kept = self.sources.store.snapshots(self.run.id)
        if not kept:
            raise FigureNotReady(
                f"run: {self.run.id} ({self.run.status}, epoch {self.run.epoch} of {self.run.epochs}) has no "
                f"synthetic images yet, which {self.panel.figure!r} shows; a run keeps its first ones at the "
                "end of epoch 1"
            )
        return self.sources.store.snapshot(self.run.id, self.panel.epoch or kept[-1])

    @property
    def score(self) -> str:
        """Raises ValueError where the run keeps no such score."""
        name = self.panel.score or self.run.spec.split.score
        if name not in self.shown.scores:
            raise ValueError(
                f"score: {name!r} is not kept by run {self.run.id}; expected one of {', '.join(self.shown.scores)}"
            )
        return name

    @property
    def values(self) -> np.ndarray:
        return self.shown.scores[self.score]

    @cached_property
    def suggested(self) -> dict[str, float]:
        """Name -> threshold, from the synthetic images alone."""
        from atesc_core.robustness.detection import SUGGESTIONS

        return {name: rule(self.values) for name, rule in SUGGESTIONS.items()} if np.isfinite(self.values).any() else {}

    @property
    def line(self) -> float | None:
        """The threshold: the panel's, the run's, or for another score Otsu's threshold."""
        if self.panel.threshold is not None:
            return self.panel.threshold
        return self.shown.threshold if self.score == self.run.spec.split.score else self.suggested.get("otsu")

    @property
    def fragile(self) -> np.ndarray:
        """(N,) bool, as the run had it unless the panel names another line."""
        own = self.panel.threshold is None and self.score == self.run.spec.split.score
        return self.shown.fragile if own or self.line is None else self.values <= self.line

    @cached_property
    def card(self) -> TeacherCard | None:
        return self.sources.cards().get(self.run.spec.teacher)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.card.class_names if self.card else tuple(map(str, range(self.shown.teacher_probs.shape[1])))

    def report(self, attacked: bool) -> Report:
        """What the teacher does with real test images. Raises NotYet."""
        if self.card is None:
            raise FigureNotReady(
                f"teacher: {self.run.spec.teacher!r} of run {self.run.id} is gone, and {self.panel.figure!r} needs it"
            )
        found = self.sources.report(self.card.name, self.run.spec.split, attacked)
        if found is None or attacked and not found.attacked:
            raise FigureNotReady(
                f"teacher: {self.card.name!r} is not measured on real test images yet; {self.panel.figure!r} "
                "is drawn as soon as it is"
            )
        return found


def _accuracy(scene: PanelRequest) -> go.Figure:
    store, cards = scene.sources.store, scene.sources.cards()
    behind = [run_curve(store.get_distillation(other), store, cards, ghost=True) for other in scene.panel.against]
    own = run_curve(scene.run, store, cards, changes=threshold_changes(scene.run, store))
    return figures.accuracy([*behind, own], "print", scene.run.epochs)


def _steps(figure: Callable[..., go.Figure]) -> Callable[[PanelRequest], go.Figure]:
    return lambda scene: figure(scene.sources.store.steps(scene.run.id), "print", scene.run.epochs)


def _scores(scene: PanelRequest) -> go.Figure:
    values, real = scene.values, {}
    if scene.panel.real:
        report = scene.report(attacked=True)
        real = {"id_values": report.id.scores(scene.score), "ood_values": report.ood.scores(scene.score)}
    return figures.scores(
        values, scene.line, "print", score=scene.score, max_epsilon=scene.run.spec.split.max_epsilon, **real
    )


def _class_sides(scene: PanelRequest) -> go.Figure:
    return figures.class_sides(
        scene.shown.teacher_probs.argmax(1), scene.fragile, "print", class_names=scene.class_names
    )


def _contact_sheet(scene: PanelRequest) -> go.Figure:
    return figures.contact_sheet(scene.shown.images, "print", fragile=scene.fragile, count=72)


def _embedding(scene: PanelRequest) -> go.Figure:
    shown, panel = scene.shown, scene.panel
    report = scene.report(attacked=False)
    places, own = (_umap if panel.method == "UMAP" else _pca)(scene, report)
    synthetic = pd.DataFrame(
        {
            "x": own[:, 0],
            "y": own[:, 1],
            "id": range(len(own)),
            "fragile": scene.fragile,
            "score": scene.values,
            "class": shown.teacher_probs.argmax(1),
        }
    )
    figure = figures.embedding(
        reference_points(report, *places),
        synthetic,
        "print",
        method=panel.method,
        colour=panel.colour,
        ground=panel.ground,
        score=scene.score,
        threshold=scene.line,
        class_names=scene.class_names,
    )
    if panel.method == "PCA":  # its first direction is far longer than its second: fill the panel with both
        figure.update_yaxes(scaleanchor=None)
    return figure


def _drift(scene: PanelRequest) -> go.Figure:
    """Beside the run's own line those of the runs it is seen against, each in its own teacher's feature space."""
    store = scene.sources.store
    scenes = [scene, *(replace(scene, run=store.get_distillation(other)) for other in scene.panel.against)]
    return figures.drift([_drift_line(one) for one in scenes], "print")


def _drift_line(scene: PanelRequest) -> Drift:
    from atesc_core.embedding import distance_to_others, knn_distance, nearer_to_ood

    report, kept = scene.report(attacked=False), evenly_thinned(scene.sources.store.snapshots(scene.run.id))
    if not kept:
        _ = scene.shown  # raises
    ground = report.id.features, report.ood.features
    shares = [
        nearer_to_ood(
            *(knn_distance(scene.sources.store.snapshot(scene.run.id, epoch).features, side) for side in ground)
        )
        for epoch in kept
    ]
    real = nearer_to_ood(distance_to_others(ground[0]), knn_distance(*ground))
    return Drift(kept, shares, scene.card.kind, scene.run.spec.escape.kind, real, scene.run.id)


def _pca(scene: PanelRequest, report: Report) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Places of real ID and OOD, and of the synthetic images."""
    from atesc_core.embedding import PCAMap

    pca = PCAMap.fit(report.id.features, report.ood.features)
    return (pca.transform(report.id.features), pca.transform(report.ood.features)), pca.transform(scene.shown.features)


def _umap(scene: PanelRequest, report: Report) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """As ``_pca``. Raises NotYet where it is not made and nobody waits."""
    from atesc_core.embedding import ReferenceMap

    umap = ReferenceMap(report.id.features, report.ood.features, scene.sources.store.runs_dir / "cache")
    if scene.sources.patient:
        umap.start()
        umap.wait()
    places = umap.coordinates()
    own = None if places is None else umap.transform(scene.shown.features)
    if own is None and places is not None and scene.sources.patient:
        umap.wait(scene.shown.features)
        own = umap.transform(scene.shown.features)
    if own is None:
        status = umap.status(scene.shown.features if places is not None else None)
        raise FigureNotReady(
            f"method: 'UMAP' of this teacher is not there ({status.message}); the page Embedding makes it, "
            "and 'PCA' needs no waiting"
        )
    return places, own


def _roc(scene: PanelRequest) -> go.Figure:
    own = scene.score == scene.run.spec.split.score
    both = labelled_scores(scene.shown, scene.score, scene.report(attacked=True))
    return figures.roc(both, scene.shown.threshold if own else None, "print")


def _robust_share(scene: PanelRequest) -> go.Figure:
    report = scene.report(attacked=True)
    images = {"id": len(report.id.min_eps), "ood": len(report.ood.min_eps)}
    return figures.robust_share(robust_curves(report), "print", report.auroc("min_eps"), images=images)


def _per_class(scene: PanelRequest) -> go.Figure:
    report = scene.report(attacked=False)
    return figures.per_class(class_accuracies(report), "print", report.metric)


def _confusion(scene: PanelRequest) -> go.Figure:
    report, domain = scene.report(attacked=False), scene.panel.domain
    return figures.confusion(
        report.confusion(domain),
        "print",
        columns=report.id_classes,
        rows=getattr(report, f"{domain}_classes"),
        domain=domain,
    )


FIGURE_BUILDERS: dict[str, Callable[[PanelRequest], go.Figure]] = {
    "accuracy": _accuracy,
    "losses_generator": _steps(figures.losses_generator),
    "losses_student": _steps(figures.losses_student),
    "fragile_share": _steps(figures.fragile_share),
    "scores": _scores,
    "class_sides": _class_sides,
    "contact_sheet": _contact_sheet,
    "embedding": _embedding,
    "drift": _drift,
    "robust_share": _robust_share,
    "roc": _roc,
    "per_class": _per_class,
    "confusion": _confusion,
}
