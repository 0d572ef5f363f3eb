"""The map of the teacher's feature space: real images as ground, an epoch's synthetic images on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.embedding import PCAMap, ReferenceMap, Status, knn_distance
from atesc_core.figures import theme
from atesc_core.figures.of_run import ground_points
from atesc_core.figures.scores import bin_edges
from atesc_core.figures.selection import mark_samples
from atesc_core.runs import Run, Snapshot
from pages._parts import link, look, selection
from pages._parts.chart import chart, thumbnails, told
from pages._parts.gallery import gallery, pressable
from pages._parts.inspector import Sample, inspector
from pages._parts.runs import may_change, snapshot
from pages._parts.split import line_of
from pages._parts.store import run_store

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

AT_MOST = 24  # epochs whose images set the map's extent and the curves below it
GALLERY = 60  # images of a selection
MAPS = ("PCA", "UMAP")
COLOURS = {"group": "Group", "score": "Score", "class": "Class", "domain": "Domain"}


@dataclass(frozen=True)
class Scene:
    run: Run
    shown: Snapshot
    report: Report
    class_names: tuple[str, ...]
    picked: selection.Selection | None  # of this epoch's images

    @property
    def line(self) -> float:
        return line_of(self.run, self.shown, self.run.spec.split.score, self.score)

    @property
    def score(self) -> np.ndarray:
        return self.shown.scores[self.run.spec.split.score]

    @property
    def fragile(self) -> np.ndarray:
        return self.score <= self.line


def map_view(run: Run, card: TeacherCard, report: Report) -> bool:
    """The whole page below its header; whether it will be another a second later. Call it in a fragment."""
    epochs = run_store().snapshots(run.id)
    if not epochs:
        look.empty("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return may_change(run)
    left, right = st.columns([3, 1])
    with left, look.card():
        top = st.columns([1.2, 2.2, 1.5], vertical_alignment="bottom")
        wanted = top[0].segmented_control("Map", MAPS, required=True, **link.one_of("method", MAPS),
                                          help="PCA is there at once. UMAP takes a while, once per teacher.")
        colour = top[1].segmented_control("Colour", list(COLOURS), required=True, **link.one_of("colour", COLOURS),
                                          format_func=COLOURS.get)
        ground = top[2].segmented_control("Real images", ["density", "points"], required=True,
                                          **link.one_of("ground", ["density", "points"]), format_func=str.capitalize)
        epoch, playing = _transport(run, epochs)
        shown = snapshot(run.id, epoch)
        scene = Scene(run, shown, report, card.class_names, selection.selected(run, epoch, len(shown.images)))
        method, status = _method(wanted, scene)
        real = _map(scene, method, colour, ground, epochs)
        _about(scene, method, status)
        selection.elsewhere(run, epoch, _slider_key(run))
    with right:
        _distances(scene)
        _selection(scene, real)
    waiting = False
    if scene.picked and scene.picked.image is not None:
        waiting = inspector(Sample(run, shown, scene.picked.image, scene.line, card), report)
    _by_epoch(run, report, epochs)
    computing = status is not None and status.state in ("queued", "running")
    return playing or waiting or may_change(run) or computing


def _slider_key(run: Run) -> str:
    return f"embedding epoch {run.id}"


def _transport(run: Run, epochs: list[int]) -> tuple[int, bool]:
    """Play and scrub: the epoch that is shown, and whether the next one follows by itself."""
    key, seen, playing = _slider_key(run), f"embedding newest {run.id}", f"embedding plays {run.id}"
    state, picked = st.session_state, selection.selected(run)
    usual = picked.epoch if picked else epochs[-1]
    chosen = state.get(key, link.choice("epoch", epochs, usual))
    follows = chosen == state.get(seen) != epochs[-1] and not (picked and picked.epoch == chosen)
    state[key] = epochs[-1] if chosen not in epochs or follows else chosen
    state[seen] = epochs[-1]
    if len(epochs) == 1:
        look.caption(f"Epoch {epochs[0]}")
        return epochs[0], False
    if state.get(playing):
        state[key] = epochs[epochs.index(state[key]) + 1] if state[key] != epochs[-1] else epochs[-1]
        state[playing] = state[key] != epochs[-1]
    link.put("epoch", None if state[key] == usual else state[key])

    def toggle() -> None:
        state[playing] = not state.get(playing)
        if state[playing] and state[key] == epochs[-1]:
            state[key] = epochs[0]

    left, right = st.columns([1, 6], vertical_alignment="bottom")
    left.button("Pause" if state.get(playing) else "Play", key=f"embedding play {run.id}", width="stretch",
                icon=":material/pause:" if state.get(playing) else ":material/play_arrow:", on_click=toggle)
    return right.select_slider("Epoch", epochs, key=key), bool(state.get(playing))


# ── PCA at once, UMAP when it has come ──────────────────────────────────────────────────────────────


def _method(wanted: str, scene: Scene) -> tuple[str, Status | None]:
    """What can be drawn now, and how far UMAP is where it was asked for."""
    if wanted == "PCA":
        return "PCA", None
    umap = _umap(scene.report)
    umap.start()
    if umap.coordinates() is None:
        return "PCA", umap.status()
    umap.transform(scene.shown.features)
    return "UMAP", umap.status(scene.shown.features)


def _umap(report: Report) -> ReferenceMap:
    return ReferenceMap(report.id.features, report.ood.features, run_store().runs_dir / "cache")


@st.cache_resource(max_entries=8, show_spinner=False)
def _pca(id_features: np.ndarray, ood_features: np.ndarray) -> PCAMap:
    return PCAMap.fit(id_features, ood_features)


def _places(report: Report, method: str, features: np.ndarray) -> np.ndarray | None:
    """(N, 2); None while UMAP has not placed them."""
    if method == "PCA":
        return _pca(report.id.features, report.ood.features).transform(features)
    return _umap(report).transform(features)


def _reference(report: Report, method: str) -> pd.DataFrame:
    """A row a real image: x, y, domain, id, class."""
    places = _umap(report).coordinates() if method == "UMAP" else None
    return ground_points(report, *(places or (_places(report, method, side.features)
                                              for side in (report.id, report.ood))))


def _synthetic(scene: Scene, method: str) -> pd.DataFrame | None:
    """A row a synthetic image: x, y, id, fragile, score, class, to_id, to_ood."""
    xy = _places(scene.report, method, scene.shown.features)
    if xy is None:
        return None
    to_id, to_ood = knn(scene.shown.features, scene.report.id.features, scene.report.ood.features)
    return pd.DataFrame({
        "x": xy[:, 0], "y": xy[:, 1], "id": _ids(scene), "fragile": scene.fragile, "score": scene.score,
        "class": scene.shown.teacher_probs.argmax(1), "to_id": to_id, "to_ood": to_ood})


def _ids(scene: Scene) -> list[str]:
    """Names of the points; the epoch is in them, so that a selection is over when the epoch changes."""
    return [_name(scene, index) for index in range(len(scene.score))]


def _name(scene: Scene, index: int) -> str:
    return f"{scene.shown.epoch}:{index}"


@st.cache_data(max_entries=256, show_spinner=False)
def knn(features: np.ndarray, id_features: np.ndarray, ood_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the nearest real ID images, and to the nearest real OOD images: (N,) each."""
    return knn_distance(features, id_features), knn_distance(features, ood_features)


def _some(epochs: list[int]) -> list[int]:
    """Not more than AT_MOST of them, evenly, the first and the last included."""
    at = np.unique(np.linspace(0, len(epochs) - 1, min(AT_MOST, len(epochs))).round().astype(int))
    return [epochs[index] for index in at]


# ── what is drawn ───────────────────────────────────────────────────────────────────────────────────


def _map(scene: Scene, method: str, colour: str, ground: str, epochs: list[int]) -> list[str]:
    """The map; ids of the real images under the lasso. The synthetic ones are the selection."""
    reference, synthetic = _reference(scene.report, method), _synthetic(scene, method)
    others = [_places(scene.report, method, snapshot(scene.run.id, epoch).features) for epoch in _some(epochs)]
    within = pd.DataFrame(np.concatenate([xy for xy in others if xy is not None] or [np.empty((0, 2))]),
                          columns=["x", "y"])
    figure = figures.embedding(
        reference, synthetic, look.mode(), colour=colour, method=method, ground=ground,
        score=scene.run.spec.split.score, threshold=scene.line, class_names=scene.class_names, within=within)
    figure.update_layout(selectionrevision=str(scene.shown.epoch))
    if method == "PCA":  # its first direction is far longer than its second: fill the card with both
        figure.update_yaxes(scaleanchor=None)
    ids, images, captions = _pictures(scene, ground)
    revision = f"{scene.run.id} {method} {ground}"
    own = [name for name in told("map", revision) if name in set(ids)]
    indices = scene.picked.indices if scene.picked else ()
    here = _indices(scene, own) == list(indices)  # else the selection was made elsewhere since
    chart(figure, "map", height=560, select="lasso", scroll_zoom=True, revision=revision,
          thumbnails=thumbnails(images, ids, captions), on_select=partial(_take, scene),
          selected=own if here else [_name(scene, index) for index in indices])
    return [name for name in own if here and name.startswith(("id:", "ood:"))]


def _take(scene: Scene, ids: tuple[str, ...]) -> None:
    selection.select(scene.run, scene.shown.epoch, _indices(scene, ids))


def _indices(scene: Scene, ids: Sequence[str]) -> list[int]:
    """Those of the ids that are synthetic images of this epoch, ascending."""
    own = f"{scene.shown.epoch}:"
    return sorted(int(name.removeprefix(own)) for name in ids if name.startswith(own))


def _pictures(scene: Scene, ground: str) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, images and captions of all points that can be pointed at."""
    to_id, to_ood = knn(scene.shown.features, scene.report.id.features, scene.report.ood.features)
    names, fragile = scene.class_names, scene.fragile
    ids, images = _ids(scene), [scene.shown.images]
    captions = [f"synthetic, {'fragile' if fragile[index] else 'robust'}\nteacher: {names[row.argmax()]}, "
                f"{100 * row.max():.1f} % sure\nk-NN distance {to_id[index]:.1f} to ID, {to_ood[index]:.1f} to OOD"
                for index, row in enumerate(scene.shown.teacher_probs)]
    for domain in ("id", "ood") if ground == "points" else ():
        side, true = getattr(scene.report, domain), getattr(scene.report, f"{domain}_classes")
        ids += [f"{domain}:{index}" for index in range(len(side.images))]
        images.append(side.images)
        captions += [f"{domain.upper()} test image\n{true[label]}, teacher: {names[given]}"
                     for label, given in zip(side.labels[:len(side.images)], side.given, strict=False)]
    return ids, np.concatenate(images), captions


def _about(scene: Scene, method: str, status: Status | None) -> None:
    """What the map is of, and how far the other one is."""
    if status is not None and status.state == "failed":
        look.problem("UMAP failed.", f"{status.message}. PCA stands.", "Try again.")
        st.button("Try again", icon=":material/refresh:", on_click=_umap(scene.report).retry)
    elif status is not None and status.state != "done":
        eta = f" · {look.duration(status.eta_s)} left" if status.eta_s else ""
        here = "This is PCA until UMAP is there. " if method == "PCA" else ""
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.progress(status.share or 0.0, f"{here}{status.message}{eta}")
        right.button("Stop", icon=":material/stop:", key="stop umap", width="stretch", on_click=_give_up,
                     args=(scene.report,))
    real = f"{len(scene.report.id.images)} ID and {len(scene.report.ood.images)} OOD test images"
    share = ""
    if method == "PCA":
        explained = _pca(scene.report.id.features, scene.report.ood.features).explained
        share = f" · PCA, {100 * sum(explained):.1f} % of the variance"
    look.caption(f"{look.of('synthetic', len(scene.score), scene.shown.epoch)} · real: {real}{share} · "
                 "lasso or click to see images")


def _give_up(report: Report) -> None:
    _umap(report).stop()
    link.put("method", None)


def _distances(scene: Scene) -> None:
    to_id, to_ood = knn(scene.shown.features, scene.report.id.features, scene.report.ood.features)
    nearer = 100 * (to_ood < to_id).mean()
    of = look.of("synthetic", len(to_id), scene.shown.epoch)
    look.tiles(look.tile("Nearer to ID", look.per_cent(100 - nearer), "%", of=of, role="id", help=(
                   "By mean distance to the 10 nearest real images, in feature space itself")),
               look.tile("Nearer to OOD", look.per_cent(nearer), "%", of=of, role="ood"))


def _selection(scene: Scene, real: list[str]) -> None:
    """The selected images, and where they lie among all scores. real: ids of real images under the lasso."""
    indices = np.array(scene.picked.indices if scene.picked else (), int)
    count = len(indices) + len(real)
    with look.card("Selected", f"{look.count(count)} images" if count else ""):
        if not count:
            look.caption("Draw a lasso around points: their images appear here. Press one to look at it closely.")
            return
        if len(indices):
            to_id, to_ood = knn(scene.shown.features, scene.report.id.features, scene.report.ood.features)
            look.line(look.swatch("id", f"{np.median(to_id[indices]):.1f} to ID"),
                      look.swatch("ood", f"{np.median(to_ood[indices]):.1f} to OOD"),
                      look.quiet(f"median k-NN distance of {look.count(len(indices))} synthetic"))
            _wall(scene, indices[:GALLERY])
            if len(indices) > GALLERY:
                look.caption(f"and {look.count(len(indices) - GALLERY)} more")
            _histogram(scene, indices)
        if real:
            _real(scene, real[:GALLERY])
        if len(indices):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link("pages/robustness.py", label="Split them", icon=":material/vertical_split:",
                             query_params=link.of_run())
                st.button("Clear", icon=":material/close:", key="clear selection", on_click=selection.clear,
                          args=(scene.run,))


def _wall(scene: Scene, indices: np.ndarray) -> None:
    _, _, captions = _pictures(scene, "density")
    pressable(scene.shown.images[indices], indices, "wall map",
              partial(selection.inspect, scene.run, scene.shown.epoch), columns=6, chosen=scene.picked.image,
              roles=["fragile" if scene.fragile[index] else "robust" for index in indices],
              titles=[captions[index].replace("\n", " · ") for index in indices])


def _real(scene: Scene, names: list[str]) -> None:
    ids, pictures, captions = _pictures(scene, "points")
    places = [ids.index(name) for name in names]
    gallery(pictures[places], columns=6, roles=[name.partition(":")[0] for name in names],
            titles=[captions[at].replace("\n", " · ") for at in places])


def _histogram(scene: Scene, indices: np.ndarray) -> None:
    """The epoch's scores, and those of the selection among them."""
    split = scene.run.spec.split
    edges = bin_edges(split.score, [scene.score], split.max_epsilon)
    figure = figures.scores(scene.score, scene.line, look.mode(), score=split.score, max_epsilon=split.max_epsilon,
                            edges=edges)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text="")
    mark_samples(figure, scene.score[indices], [_name(scene, index) for index in indices], edges)
    chart(figure, "selected scores", height=190, label="Robustness scores of the selected images")


def _by_epoch(run: Run, report: Report, epochs: list[int]) -> None:
    """Median k-NN distance to ID and to OOD, epoch by epoch."""
    if len(epochs) < 2:
        return
    some = _some(epochs)
    medians = np.array([[np.median(part) for part in
                         knn(snapshot(run.id, epoch).features, report.id.features, report.ood.features)]
                        for epoch in some])
    style = theme.look(look.mode())
    figure = theme.blank(look.mode(), "distances", "Epoch", "Median k-NN distance (a.u.)")
    for place, (role, name) in enumerate({"id": "to real ID", "ood": "to real OOD"}.items()):
        figure.add_trace(go.Scatter(
            x=some, y=medians[:, place], name=name, mode="lines+markers", uid=theme.uid("distance", role),
            line={"color": style.colour(role), "width": style.line}, marker={"size": style.dot},
            hovertemplate=f"<b>%{{y:.2f}}</b> {name}, epoch %{{x}}<extra></extra>"))
    figure.update_xaxes(tickformat="d", nticks=min(len(some), 12))
    figure.update_yaxes(rangemode="tozero")
    size = len(snapshot(run.id, some[-1]).fragile)
    with look.card("How far synthetic images are from real ones", f"{size} synthetic images an epoch; "
                   "the 10 nearest real images of each domain, in feature space"):
        chart(figure, "distances", height=260)
