"""The map of a feature space: real images as ground, an epoch's synthetic images on it; of one run, or of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.embedding import Status
from atesc_core.figures import theme
from atesc_core.figures.run_data import evenly_thinned
from atesc_core.figures.scores import bin_edges
from atesc_core.figures.selection import mark_samples
from atesc_core.runs import DistillationRun, Snapshot
from pages.embedding import second_run
from pages.embedding.feature_space import Method, Space, Subject, Who, of_student, of_teacher, student_coming
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.state import selection, url
from pages.shared.state.threshold import threshold_in_view
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ChartResult, chart, last_selected, thumbnails
from pages.shared.ui.epoch_slider import epoch_slider
from pages.shared.ui.gallery import clickable_gallery, gallery
from pages.shared.ui.inspector import Sample, inspector
from pages.shared.ui.polling import is_live
from pages.shared.ui.run_labels import method_name as method
from pages.shared.ui.student_curve import student_curve

GALLERY = 60  # images of a selection
MAPS = ("PCA", "UMAP")
GROUNDS = ("density", "points")
COLOURS = {"group": "Group", "score": "Score", "class": "Class", "domain": "Domain"}
SPACES = {"teacher": of_teacher, "student": of_student}
HEIGHT, HEIGHT_OF_TWO = 560, 430  # px of a map
TWO_SPACES = (
    "Each map is the feature space of its own {who}: compare where the synthetic images lie among the real "
    "ID and OOD ones, not one map's places with the other's."
)
STUDENTS = (
    "Real images and those of every epoch go through one student, the last that is kept, so that the map stays "
    "still while the epochs pass. This is our choice."
)


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn: what the controls say."""

    who: Who
    method: Method
    colour: str
    ground: str


@dataclass(frozen=True)
class Scene:
    subject: Subject
    space: Space
    shown: Snapshot
    picked: selection.Selection | None = None  # of this epoch's images
    key: str = "map"  # its chart

    @property
    def run(self) -> DistillationRun:
        return self.subject.run

    @property
    def line(self) -> float:
        return threshold_in_view(self.run, self.shown)

    @property
    def score(self) -> np.ndarray:
        return self.shown.scores[self.run.spec.split.score]

    @property
    def fragile(self) -> np.ndarray:
        return self.score <= self.line

    @property
    def distances(self) -> tuple[np.ndarray, np.ndarray]:
        return self.space.distances(self.shown.epoch)


def map_view(first: Subject, second: Subject | None = None, two: bool = False) -> bool:
    """The whole page below its header; whether it will be another a second later. Call it in a fragment.

    two: whether there are to be two maps; without a ``second`` the page then says how to come by it.
    """
    run, epochs = first.run, run_store().snapshot_epochs(first.run.id)
    if not epochs:
        elements.empty_state("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return is_live(run)
    how = _controls()
    subjects = [one for one in (first, second) if one]
    if how.who == "student" and not all(map(_student_there, subjects)):
        return is_live(run)
    left, right = (st.container(), None) if two else st.columns([3, 1])
    with left, elements.card():
        epoch, playing = _transport(run, epochs)
        if how.who == "student":
            elements.caption(STUDENTS)
        if two:
            elements.caption(TWO_SPACES.format(who=how.who))
        spaces = [SPACES[how.who](one) for one in subjects]
        if None in spaces:
            coming = [student_coming(one) for one, space in zip(subjects, spaces, strict=True) if space is None]
            return any(coming) or is_live(run)
        shown = load_snapshot(run.id, epoch)
        scene = Scene(first, spaces[0], shown, selection.selected(run, epoch, len(shown.images)))
        if not two:
            real, computing = _map(scene, how, epochs)
        selection.other_epoch_notice(run, epoch, _slider_key(run))
    if two:
        real, computing = _side_by_side(scene, second, spaces[-1], how, epochs)
        _selection(scene, real, columns=20)
    else:
        with right:
            elements.tiles(*_distances(scene))
            _selection(scene, real)
    waiting = student_curve(run, shown, scene.picked.indices if scene.picked else ())
    if scene.picked and scene.picked.image is not None:
        sample = Sample(run, shown, scene.picked.image, scene.line, first.card)
        waiting = inspector(sample, first.report) or waiting
    if not two:
        _by_epoch(scene, epochs)
    live = is_live(run) or second is not None and is_live(second.run)
    return playing or waiting or live or computing


def _controls() -> Drawing:
    with st.container(horizontal=True, gap="medium"):
        return Drawing(
            st.segmented_control(
                "Features of",
                list(SPACES),
                required=True,
                format_func=str.capitalize,
                help=("Whose last layer the map is of"),
                **url.bind_choice("features", SPACES, key="link features"),
            ),
            st.segmented_control(
                "Map",
                MAPS,
                required=True,
                **url.bind_choice("method", MAPS),
                help=("PCA is there at once. UMAP takes a while, once per teacher or student."),
            ),
            st.segmented_control(
                "Colour", list(COLOURS), required=True, **url.bind_choice("colour", COLOURS), format_func=COLOURS.get
            ),
            st.segmented_control(
                "Real images", GROUNDS, required=True, **url.bind_choice("ground", GROUNDS), format_func=str.capitalize
            ),
        )


def _student_there(subject: Subject) -> bool:
    """Whether a student is kept of the run; where none is, the page now says so."""
    there = bool(run_store().student_files(subject.run.id))
    if not there:
        elements.empty_state(
            "No student is kept of this run",
            "It keeps its first one at the end of epoch 1."
            if is_live(subject.run)
            else "Its files are gone. Look at the teacher's features, or do the run again.",
        )
    return there


# ── two maps ────────────────────────────────────────────────────────────────────────────────────────


def _side_by_side(
    scene: Scene, second: Subject | None, space: Space, how: Drawing, epochs: list[int]
) -> tuple[list[str], bool]:
    """Both maps, and the curve that compares them: as ``_map`` of the first. space: the second's."""
    scenes, theirs = {scene: epochs}, run_store().snapshot_epochs(second.run.id) if second else []
    if theirs:
        # the same epoch, or the last one before it where this run has no such epoch
        at = max((epoch for epoch in theirs if epoch <= scene.shown.epoch), default=theirs[0])
        scenes[Scene(second, space, load_snapshot(second.run.id, at), key="map beside")] = theirs
    known = {_method(how.method, one)[0] for one in scenes}
    drawn: Method = "UMAP" if known == {"UMAP"} else "PCA"  # both alike
    found = []
    columns = st.columns(2)
    for (one, own), column in zip(scenes.items(), columns, strict=False):
        with column, elements.card():
            _titled(one, scene.shown.epoch)
            found.append(_map(one, how, own, drawn))
            elements.tiles(*_distances(one))
    if theirs:
        _drift(scenes)
    else:
        with columns[1]:
            second_run.missing(scene.run)
    return found[0][0], any(computing for _, computing in found)


def _titled(scene: Scene, wanted: int) -> None:
    """Whose map it is. wanted: the epoch that is looked at."""
    card, run, epoch = scene.subject.card, scene.run, scene.shown.epoch
    words = f"epoch {epoch}" + (f": this run has no epoch {wanted}" if wanted != epoch else "")
    elements.row(elements.teacher_chip(card.kind), method(run.spec), f"seed {run.spec.seed}", elements.muted(words))


def _drift(scenes: dict[Scene, list[int]]) -> None:
    """Scene -> its run's epochs: what of the two maps can be compared."""
    lines = []
    for scene, epochs in scenes.items():
        own = evenly_thinned(epochs)
        lines.append(
            figures.Drift(
                own,
                [scene.space.nearer_to_ood(epoch) for epoch in own],
                scene.subject.card.kind,
                scene.run.spec.escape.kind,
                scene.space.real_nearer_to_ood,
                scene.run.id,
            )
        )
    sizes = " and ".join(dict.fromkeys(formats.count(len(scene.score)) for scene in scenes))
    with elements.card(
        "Drift towards OOD",
        f"{sizes} synthetic images an epoch, by mean distance to the 10 nearest real "
        "images of each domain, each in the feature space of its own "
        f"{next(iter(scenes)).space.whose.partition(' ')[0]}",
    ):
        chart(figures.drift(lines, appearance.mode(), next(iter(scenes)).shown.epoch), "drift", height=290)
        elements.caption(
            "Faint: the real ID test images themselves, each among all others. The higher that level, the "
            "less these features tell the domains apart, and the less it says that an image is nearer to OOD."
        )


# ── play and scrub ──────────────────────────────────────────────────────────────────────────────────


def _slider_key(run: DistillationRun) -> str:
    return f"embedding epoch {run.id}"


def _transport(run: DistillationRun, epochs: list[int]) -> tuple[int, bool]:
    """Draw play and the epoch slider: the epoch that is shown, and whether the next one follows by itself."""
    key, playing_key = _slider_key(run), f"embedding plays {run.id}"
    state, selected = st.session_state, selection.selected(run)
    if len(epochs) == 1:
        return epoch_slider(run, epochs, key, selected=selected), False
    left, right = st.columns([1, 6], vertical_alignment="bottom")
    playing = bool(state.get(playing_key))
    with right:
        epoch = epoch_slider(run, epochs, key, selected=selected, advance=playing)
    state[playing_key] = playing = playing and epoch != epochs[-1]

    def toggle() -> None:
        state[playing_key] = not playing
        if not playing and state[key] == epochs[-1]:
            state[key] = epochs[0]

    left.button(
        "Pause" if playing else "Play",
        key=f"embedding play {run.id}",
        width="stretch",
        icon=":material/pause:" if playing else ":material/play_arrow:",
        on_click=toggle,
    )
    return epoch, playing


# ── PCA at once, UMAP when it has come ──────────────────────────────────────────────────────────────


def _method(wanted: Method, scene: Scene) -> tuple[Method, Status | None]:
    """What can be drawn now, and how far UMAP is where it was asked for."""
    if wanted == "PCA":
        return "PCA", None
    umap, features = scene.space.umap, scene.space.of(scene.shown.epoch)
    umap.start()
    if umap.coordinates() is None:
        return "PCA", umap.status()
    umap.transform(features)
    return "UMAP", umap.status(features)


def _synthetic(scene: Scene, method: Method) -> pd.DataFrame | None:
    """A row a synthetic image: x, y, id, fragile, score, class, to_id, to_ood."""
    xy = scene.space.places(method, scene.space.of(scene.shown.epoch))
    if xy is None:
        return None
    to_id, to_ood = scene.distances
    return pd.DataFrame(
        {
            "x": xy[:, 0],
            "y": xy[:, 1],
            "id": _ids(scene),
            "fragile": scene.fragile,
            "score": scene.score,
            "class": scene.shown.teacher_probs.argmax(1),
            "to_id": to_id,
            "to_ood": to_ood,
        }
    )


def _ids(scene: Scene) -> list[str]:
    """Names of the points; the epoch is in them, so that a selection is over when the epoch changes."""
    return [_name(scene, index) for index in range(len(scene.score))]


def _name(scene: Scene, index: int) -> str:
    return f"{scene.shown.epoch}:{index}"


# ── what is drawn ───────────────────────────────────────────────────────────────────────────────────


def _map(scene: Scene, how: Drawing, epochs: list[int], together: Method | None = None) -> tuple[list[str], bool]:
    """The map: ids of the real images under the lasso (the synthetic ones are the selection), and whether UMAP is still
    to come. epochs: those of its run. together: how it is drawn, where it is one of two."""
    method, status = _method(how.method, scene)
    method = together or method
    reference, synthetic = scene.space.ground(method, scene.subject.report), _synthetic(scene, method)
    others = [scene.space.places(method, scene.space.of(epoch)) for epoch in evenly_thinned(epochs)]
    within = pd.DataFrame(
        np.concatenate([xy for xy in others if xy is not None] or [np.empty((0, 2))]), columns=["x", "y"]
    )
    figure = figures.embedding(
        reference,
        synthetic,
        appearance.mode(),
        colour=how.colour,
        method=method,
        ground=how.ground,
        score=scene.run.spec.split.score,
        threshold=scene.line,
        class_names=scene.subject.card.class_names,
        within=within,
    )
    figure.update_layout(selectionrevision=str(scene.shown.epoch))
    if method == "PCA":  # its first direction is far longer than its second: fill the card with both
        figure.update_yaxes(scaleanchor=None)
    ids, images, captions = _pictures(scene, how.ground)
    revision = f"{scene.run.id} {how.who} {method} {how.ground}"
    drawn = partial(
        chart,
        figure,
        scene.key,
        height=HEIGHT_OF_TWO if together else HEIGHT,
        scroll_zoom=True,
        revision=revision,
        thumbnails=thumbnails(images, ids, captions),
        label=f"Map of {scene.subject.card.name}",
    )
    real: list[str] = []
    if scene.key == "map":
        real = _selectable(scene, drawn, revision, ids)
    else:
        drawn()
    _about(scene, method, status)
    return real, status is not None and status.state in ("queued", "running")


def _selectable(scene: Scene, drawn: Callable[..., ChartResult], revision: str, ids: list[str]) -> list[str]:
    """Draw the map so that its points can be selected; ids of the real images that are."""
    indices, known = scene.picked.indices if scene.picked else (), set(ids)
    own = [name for name in last_selected(scene.key, revision) if name in known]
    here = _indices(scene, own) == list(indices)  # else the selection was made elsewhere since
    drawn(
        select="lasso",
        on_select=partial(_take, scene),
        selected=own if here else [_name(scene, index) for index in indices],
    )
    return [name for name in own if here and name.startswith(("id:", "ood:"))]


def _take(scene: Scene, ids: tuple[str, ...]) -> None:
    selection.select(scene.run, scene.shown.epoch, _indices(scene, ids))


def _indices(scene: Scene, ids: Sequence[str]) -> list[int]:
    """Those of the ids that are synthetic images of this epoch, ascending."""
    own = f"{scene.shown.epoch}:"
    return sorted(int(name.removeprefix(own)) for name in ids if name.startswith(own))


def _pictures(scene: Scene, ground: str) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, images and captions of all points that can be pointed at."""
    to_id, to_ood = scene.distances
    names, fragile = scene.subject.card.class_names, scene.fragile
    ids, images = _ids(scene), [scene.shown.images]
    captions = [
        f"synthetic, {'fragile' if fragile[index] else 'robust'}\nteacher: {names[row.argmax()]}, "
        f"{100 * row.max():.1f} % sure\nk-NN distance {to_id[index]:.1f} to ID, {to_ood[index]:.1f} to OOD"
        for index, row in enumerate(scene.shown.teacher_probs)
    ]
    for domain in ("id", "ood") if ground == "points" else ():
        report = scene.subject.report
        side, true = getattr(report, domain), getattr(report, f"{domain}_classes")
        ids += [f"{domain}:{index}" for index in range(len(side.images))]
        images.append(side.images)
        captions += [
            f"{domain.upper()} test image\n{true[label]}, teacher: {names[given]}"
            for label, given in zip(side.labels[: len(side.images)], side.predicted, strict=False)
        ]
    return ids, np.concatenate(images), captions


def _about(scene: Scene, method: Method, status: Status | None) -> None:
    """What the map is of, and how far the other one is."""
    if status is not None and status.state == "failed":
        elements.problem("UMAP failed.", f"{status.message}. PCA stands.", "Try again.")
        st.button(
            "Try again", icon=":material/refresh:", key=f"umap again {scene.key}", on_click=scene.space.umap.retry
        )
    elif status is not None and status.state != "done":
        eta = f" · {formats.duration(status.eta_s)} left" if status.eta_s else ""
        here = "This is PCA until UMAP is there. " if method == "PCA" else ""
        left, right = st.columns([5, 2], vertical_alignment="center")
        left.progress(status.share or 0.0, f"{here}{status.message}{eta}")
        right.button(
            "Stop",
            icon=":material/stop:",
            key=f"stop umap {scene.key}",
            width="stretch",
            on_click=_give_up,
            args=(scene.space,),
        )
    real = f"{len(scene.space.id)} ID and {len(scene.space.ood)} OOD test images"
    share = f" · PCA, {100 * sum(scene.space.pca.explained):.1f} % of the variance" if method == "PCA" else ""
    hint = "lasso or click to see images" if scene.key == "map" else "point at a dot to see its image"
    elements.caption(
        f"{formats.measured_on('synthetic', len(scene.score), scene.shown.epoch)} · real: {real} · features of the "
        f"{scene.space.whose}{share} · {hint}"
    )


def _give_up(space: Space) -> None:
    space.umap.stop()
    url.set_parameter("method", None)


def _distances(scene: Scene) -> list[elements.Html]:
    """Which real images the epoch's are nearer to, as tiles."""
    nearer = scene.space.nearer_to_ood(scene.shown.epoch)
    of = formats.measured_on("synthetic", len(scene.score), scene.shown.epoch)
    return [
        elements.tile(
            "Nearer to ID",
            formats.per_cent(100 - nearer),
            "%",
            measured_on=of,
            role="id",
            help=("By mean distance to the 10 nearest real images, in feature space itself"),
        ),
        elements.tile("Nearer to OOD", formats.per_cent(nearer), "%", measured_on=of, role="ood"),
    ]


def _selection(scene: Scene, real: list[str], columns: int = 6) -> None:
    """The selected images, and where they lie among all scores. real: ids of real images under the lasso; columns:
    images in a row."""
    indices = np.array(scene.picked.indices if scene.picked else (), int)
    count = len(indices) + len(real)
    with elements.card("Selected", f"{formats.count(count)} images" if count else ""):
        if not count:
            elements.caption(
                "Draw a lasso around points, or Tab to the map and frame them by keys: their images appear "
                "here. Press one to look at it closely."
            )
            return
        if len(indices):
            to_id, to_ood = scene.distances
            elements.row(
                elements.swatch("id", f"{np.median(to_id[indices]):.1f} to ID"),
                elements.swatch("ood", f"{np.median(to_ood[indices]):.1f} to OOD"),
                elements.muted(f"median k-NN distance of {formats.count(len(indices))} synthetic"),
            )
            _wall(scene, indices[:GALLERY], columns)
            if len(indices) > GALLERY:
                elements.caption(f"and {formats.count(len(indices) - GALLERY)} more")
            _histogram(scene, indices)
        if real:
            _real(scene, real[:GALLERY], columns)
        if len(indices):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(
                    "pages/robustness/page.py",
                    label="Split them",
                    icon=":material/vertical_split:",
                    query_params=url.run_parameters(),
                )
                st.button(
                    "Clear", icon=":material/close:", key="clear selection", on_click=selection.clear, args=(scene.run,)
                )


def _wall(scene: Scene, indices: np.ndarray, columns: int) -> None:
    _, _, captions = _pictures(scene, "density")
    clickable_gallery(
        scene.shown.images[indices],
        indices,
        "wall map",
        partial(selection.inspect, scene.run, scene.shown.epoch),
        columns=columns,
        chosen=scene.picked.image,
        roles=["fragile" if scene.fragile[index] else "robust" for index in indices],
        titles=[captions[index].replace("\n", " · ") for index in indices],
    )


def _real(scene: Scene, names: list[str], columns: int) -> None:
    ids, pictures, captions = _pictures(scene, "points")
    places = [ids.index(name) for name in names]
    gallery(
        pictures[places],
        columns=columns,
        roles=[name.partition(":")[0] for name in names],
        titles=[captions[at].replace("\n", " · ") for at in places],
    )


def _histogram(scene: Scene, indices: np.ndarray) -> None:
    """The epoch's scores, and those of the selection among them."""
    split = scene.run.spec.split
    edges = bin_edges(split.score, [scene.score], split.max_epsilon)
    figure = figures.scores(
        scene.score, scene.line, appearance.mode(), score=split.score, max_epsilon=split.max_epsilon, edges=edges
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text="")
    mark_samples(figure, scene.score[indices], [_name(scene, index) for index in indices], edges)
    chart(figure, "selected scores", height=190, label="Robustness scores of the selected images")


def _by_epoch(scene: Scene, epochs: list[int]) -> None:
    """Median k-NN distance to ID and to OOD, epoch by epoch."""
    if len(epochs) < 2:
        return
    own = evenly_thinned(epochs)
    medians = np.array([[np.median(part) for part in scene.space.distances(epoch)] for epoch in own])
    style = theme.style(appearance.mode())
    figure = theme.new_figure(appearance.mode(), "distances", "Epoch", "Median k-NN distance (a.u.)")
    for place, (role, name) in enumerate({"id": "to real ID", "ood": "to real OOD"}.items()):
        figure.add_trace(
            go.Scatter(
                x=own,
                y=medians[:, place],
                name=name,
                mode="lines+markers",
                uid=theme.trace_id("distance", role),
                line={"color": appearance.colour(role), "width": style.line_width},
                marker={"size": style.dot_size},
                hovertemplate=f"<b>%{{y:.2f}}</b> {name}, epoch %{{x}}<extra></extra>",
            )
        )
    figure.update_xaxes(tickformat="d", nticks=min(len(own), 12))
    figure.update_yaxes(rangemode="tozero")
    with elements.card(
        "How far synthetic images are from real ones",
        f"{len(scene.score)} synthetic images an epoch; "
        f"the 10 nearest real images of each domain, among features of the {scene.space.whose}",
    ):
        chart(figure, "distances", height=260)
