"""From a run to its figures: where each gets its data. The app and the command line both draw from here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core import figures
from atesc_core.errors import FigureNotReady
from atesc_core.figures.accuracy import Curve
from atesc_core.figures.drift import Drift
from atesc_core.figures.export import files
from atesc_core.figures.export.recipe import Panel, Recipe
from atesc_core.figures.export.sheet import Sheet, draw_sheet
from atesc_core.runs import Run, RunStore, Snapshot
from atesc_core.specs.command import run_command
from atesc_core.specs.run import RunSpec, SplitSpec
from atesc_core.vocabulary import ESCAPE_NAMES, SCORE_NAMES

if TYPE_CHECKING:
    from atesc_core.robustness.oracle import Oracle
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report


AT_MOST = 24  # epochs whose features are measured for a curve


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


def measuring(store: RunStore, tell: Callable[[float, str], None] = lambda share, what: None) -> Sources:
    """Sources that measure here and now what is not known yet. ``tell``: share 0..1 of a measurement, what is next."""

    def cards() -> dict[str, TeacherCard]:
        from atesc_core.teachers import list_teachers

        return {card.name: card for card in list_teachers(store.runs_dir)}

    def report(teacher: str, split: SplitSpec, attacked: bool) -> Report:
        from atesc_core.teachers.report import ready

        return ready(teacher, store.runs_dir, split, attacked=attacked, tell=tell)

    return Sources(store, cards, report, patient=True)


def draw(panel: Panel, sources: Sources) -> go.Figure:
    """The figure with mode="print".

    Raises NotYet, UnknownRun, StoreError for an epoch without images, and ValueError for a score that is not kept.
    """
    return DRAW[panel.figure](Scene(panel, sources, sources.store.get(panel.run)))


def draw_all(recipe: Recipe, sources: Sources) -> list[go.Figure]:
    """A figure a panel. Raises as ``draw`` does."""
    return [draw(panel, sources) for panel in recipe.panels]


def origin(recipe: Recipe, drawn: Sequence[go.Figure], store: RunStore) -> dict[str, Any]:
    """Where the figure comes from: the first panel's run on top, those of other panels below ``other_runs``."""
    runs = [store.get(run_id) for run_id in dict.fromkeys(panel.run for panel in recipe.panels)]
    first, *others = [_told(run, store) for run in runs]
    more = {"other_runs": others} if others else {}
    return files.provenance(
        drawn,
        **first,
        **more,
        figure_command=recipe.command(),
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
    )


def _told(run: Run, store: RunStore) -> dict[str, Any]:
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


def write(recipe: Recipe, sources: Sources, folder: Path) -> list[Path]:
    """Every file of the recipe, in ``folder``: what the app's "All, zipped" holds.

    Data and origin come first: they are there where a browser is missing, and BrowserMissing is raised.
    """
    drawn = draw_all(recipe, sources)
    facts = origin(recipe, drawn, sources.store)
    written = [
        put(folder / f"{recipe.stem}.csv", files.figure_csv(drawn).encode()),
        put(folder / f"{recipe.stem}.yaml", files.sidecar(facts).encode()),
    ]
    sheet = on_paper(recipe, drawn)
    return written + [
        put(folder / f"{recipe.stem}.{kind}", files.sheet_file(sheet, kind, facts, recipe.paper.dpi))
        for kind in recipe.formats
    ]


def on_paper(recipe: Recipe, drawn: Sequence[go.Figure], stop: threading.Event | None = None) -> Sheet:
    """Raises as ``draw_sheet`` does."""
    return draw_sheet(drawn, **recipe.paper.layout(), across=recipe.across, labels=recipe.labels, stop=stop)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# ── runs beside runs ───────────────────────────────────────────────────────────────────────────────────


def curve(
    run: Run, store: RunStore, cards: dict[str, TeacherCard], ghost: bool = False, changes: pd.DataFrame | None = None
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


def threshold_changes(run: Run, store: RunStore) -> pd.DataFrame:
    """Columns epoch (fractional) and threshold: where the line was set anew; of one round, what it was split by."""
    history = store.history(run.id)
    at = history[history["kind"] == "threshold"].drop_duplicates(["epoch", "round"], keep="last")
    return pd.DataFrame({"epoch": at["epoch"] - 1 + at["round"] / run.rounds, "threshold": at["value"]})


def comparable(run: Run, store: RunStore, cards: dict[str, TeacherCard]) -> list[Run]:
    """What to see a run against: the newest finished plain students of its own teacher and of the pair's SL one,
    of the same seed and as many images an epoch."""
    found: dict[str, Run] = {}
    for other in _alike(run, store, cards):
        if other.spec.escape.kind == "none" and (
            other.spec.teacher == run.spec.teacher or cards[other.spec.teacher].kind == "SL"
        ):
            found.setdefault(other.spec.teacher, other)
    if run.spec.escape.kind == "none":
        found.pop(run.spec.teacher, None)
    return list(found.values())


def counterpart(run: Run, store: RunStore, cards: dict[str, TeacherCard]) -> Run | None:
    """The newest such student of the pair's other kind of teacher: SL for NTL, NTL for SL. A plain one before one that
    escapes."""
    others = [
        other for other in _alike(run, store, cards) if cards[other.spec.teacher].kind != cards[run.spec.teacher].kind
    ]
    return min(others, key=lambda other: other.spec.escape.kind != "none", default=None)


def _alike(run: Run, store: RunStore, cards: dict[str, TeacherCard]) -> list[Run]:
    """Other finished students of the same pair, seed and number of images an epoch, newest first."""
    if run.spec.teacher not in cards:
        return []

    def about(one: Run) -> tuple[Any, ...]:
        card = cards[one.spec.teacher]
        return card.pair, card.image_side, one.spec.seed, _epoch_size(one.spec)

    return [
        other
        for other in store.list()
        if other.status == "done" and other.id != run.id and other.spec.teacher in cards and about(other) == about(run)
    ]


def _epoch_size(spec: RunSpec) -> int:
    return spec.rounds * spec.student_steps * spec.batch_size


# ── real images beside synthetic ones ──────────────────────────────────────────────────────────────────


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


def ground_points(report: Report, id_places: np.ndarray, ood_places: np.ndarray) -> pd.DataFrame:
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


def some(epochs: Sequence[int]) -> list[int]:
    """Not more than AT_MOST of them, evenly, the first and the last included: what a curve over features shows."""
    at = np.unique(np.linspace(0, len(epochs) - 1, min(AT_MOST, len(epochs))).round().astype(int))
    return [epochs[index] for index in at]


@lru_cache(maxsize=8)
def oracle_scores(oracle: Oracle, shown: Snapshot) -> np.ndarray:
    """(N,) log-odds of OOD. Kept: of 20 000 images with 1 024 features they take 9 ms, and a page asks many times."""
    return oracle(shown.features)


def values_of(shown: Snapshot, score: str, real: Report | None) -> np.ndarray:
    """(N,) scores of the synthetic images; the oracle's come from their features and the report."""
    return oracle_scores(real.oracle, shown) if score == "oracle" else shown.scores[score]


def scores_of(shown: Snapshot, real: Report | None) -> list[str]:
    """Names of the scores that these images have: a run of an earlier version has fewer; the oracle needs a report."""
    return [name for name in SCORE_NAMES if name in shown.scores or (name == "oracle" and real is not None)]


def judged(shown: Snapshot, score: str, real: Report) -> dict[figures.Images, tuple[np.ndarray, np.ndarray]]:
    """Real images as they are; synthetic ones as the oracle says: scores (N,), and which of the images are OOD (N,)."""
    from atesc_core.robustness.detection import labelled

    return {
        "real": labelled(real.id.scores(score), real.ood.scores(score)),
        "synthetic": (values_of(shown, score, real), oracle_scores(real.oracle, shown) > 0),
    }


# ── the figures ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Scene:
    """A panel that is being drawn, and the run it is of."""

    panel: Panel
    sources: Sources
    run: Run

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
        """The threshold: the panel's, the run's, or for another score its valley."""
        if self.panel.threshold is not None:
            return self.panel.threshold
        return self.shown.threshold if self.score == self.run.spec.split.score else self.suggested.get("valley")

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


def _accuracy(scene: Scene) -> go.Figure:
    store, cards = scene.sources.store, scene.sources.cards()
    behind = [curve(store.get(other), store, cards, ghost=True) for other in scene.panel.against]
    own = curve(scene.run, store, cards, changes=threshold_changes(scene.run, store))
    return figures.accuracy([*behind, own], "print", scene.run.epochs)


def _steps(figure: Callable[..., go.Figure]) -> Callable[[Scene], go.Figure]:
    return lambda scene: figure(scene.sources.store.steps(scene.run.id), "print", scene.run.epochs)


def _scores(scene: Scene) -> go.Figure:
    values, real = scene.values, {}
    if scene.panel.real:
        report = scene.report(attacked=True)
        real = {"id_values": report.id.scores(scene.score), "ood_values": report.ood.scores(scene.score)}
    return figures.scores(
        values, scene.line, "print", score=scene.score, max_epsilon=scene.run.spec.split.max_epsilon, **real
    )


def _class_sides(scene: Scene) -> go.Figure:
    return figures.class_sides(
        scene.shown.teacher_probs.argmax(1), scene.fragile, "print", class_names=scene.class_names
    )


def _contact_sheet(scene: Scene) -> go.Figure:
    return figures.contact_sheet(scene.shown.images, "print", fragile=scene.fragile, count=72)


def _embedding(scene: Scene) -> go.Figure:
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
        ground_points(report, *places),
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


def _drift(scene: Scene) -> go.Figure:
    """Beside the run's own line those of the runs it is seen against, each in its own teacher's feature space."""
    store = scene.sources.store
    scenes = [scene, *(replace(scene, run=store.get(other)) for other in scene.panel.against)]
    return figures.drift([_drift_line(one) for one in scenes], "print")


def _drift_line(scene: Scene) -> Drift:
    from atesc_core.embedding import distance_to_others, knn_distance, nearer_to_ood

    report, kept = scene.report(attacked=False), some(scene.sources.store.snapshots(scene.run.id))
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


def _pca(scene: Scene, report: Report) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Places of real ID and OOD, and of the synthetic images."""
    from atesc_core.embedding import PCAMap

    pca = PCAMap.fit(report.id.features, report.ood.features)
    return (pca.transform(report.id.features), pca.transform(report.ood.features)), pca.transform(scene.shown.features)


def _umap(scene: Scene, report: Report) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
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


def _roc(scene: Scene) -> go.Figure:
    own = scene.score == scene.run.spec.split.score
    both = judged(scene.shown, scene.score, scene.report(attacked=True))
    return figures.roc(both, scene.shown.threshold if own else None, "print")


def _robust_share(scene: Scene) -> go.Figure:
    report = scene.report(attacked=True)
    images = {"id": len(report.id.min_eps), "ood": len(report.ood.min_eps)}
    return figures.robust_share(robust_curves(report), "print", report.auroc("min_eps"), images=images)


def _per_class(scene: Scene) -> go.Figure:
    report = scene.report(attacked=False)
    return figures.per_class(class_accuracies(report), "print", report.metric)


def _confusion(scene: Scene) -> go.Figure:
    report, domain = scene.report(attacked=False), scene.panel.domain
    return figures.confusion(
        report.confusion(domain),
        "print",
        columns=report.id_classes,
        rows=getattr(report, f"{domain}_classes"),
        domain=domain,
    )


DRAW: dict[str, Callable[[Scene], go.Figure]] = {
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
