"""The map of a feature space, of one run or of two: an epoch's synthetic images among real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.figures import theme
from atesc_core.figures.embedding import ColourBy
from atesc_core.figures.run_data import evenly_thinned
from atesc_core.figures.scores import bin_edges
from atesc_core.figures.selection import mark_samples
from atesc_core.jobs import Job
from atesc_core.runs import DistillationRun, Snapshot
from pages.embedding import second_run
from pages.embedding.feature_space import Method, Space, Subject, Who, student_progress, student_space, teacher_space
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
from pages.shared.ui.progress import show_job
from pages.shared.ui.run_labels import method_name
from pages.shared.ui.student_curve import student_curve
from pages.shared.ui.threshold_controls import pending_notice

Ground = Literal["density", "points"]  # how real images are drawn
GALLERY_IMAGES = 60  # of a selection
MAPS: tuple[Method, ...] = ("PCA", "UMAP")
GROUNDS: tuple[Ground, ...] = ("density", "points")
COLOURS: dict[ColourBy, str] = {"group": "Group", "score": "Score", "class": "Class", "domain": "Domain"}
SPACES: dict[Who, Callable[[Subject], Space | None]] = {"teacher": teacher_space, "student": student_space}
HEIGHT, HEIGHT_OF_TWO_MAPS = 560, 430  # px of a map
NOTE_ON_TWO_MAPS = (
    "Each map is the feature space of its own {who}: compare where the synthetic images lie among the real "
    "ID and OOD ones, not positions on one map with those on the other."
)
NOTE_ON_STUDENTS = (
    "Real images and those of every epoch go through one student, the last that is kept, so that the map stays "
    "still while the epochs pass. This is a choice of this lab."
)


@dataclass(frozen=True)
class MapOptions:
    """How the maps are drawn, as the page's controls say."""

    who: Who
    method: Method
    colour: ColourBy
    real_images: Ground


@dataclass(frozen=True)
class EpochMap:
    """A run's synthetic images of one epoch, on a map of one feature space."""

    subject: Subject
    space: Space
    snapshot: Snapshot
    selected: selection.Selection | None = None  # of this epoch's images
    key: str = "map"  # of its chart

    @property
    def run(self) -> DistillationRun:
        """The run whose images are on the map."""
        return self.subject.run

    @property
    def threshold(self) -> float:
        """The threshold that splits the snapshot's images: the one that the user chose, or the snapshot's."""
        return threshold_in_view(self.run, self.snapshot)

    @property
    def scores(self) -> np.ndarray:
        """(N,) by the run's own score."""
        return self.snapshot.scores[self.run.spec.split.score]

    @property
    def fragile(self) -> np.ndarray:
        """(N,) bool."""
        return self.scores <= self.threshold

    @property
    def distances(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) each: mean distance to the nearest real ID images, and to the nearest OOD ones."""
        return self.space.distances(self.snapshot.epoch)


def map_view(first: Subject, second: Subject | None = None, two: bool = False) -> bool:
    """Draw the whole page below its header, in a fragment.

    Args:
        first: the page's run.
        second: the run of the second map.
        two: whether there are two maps; without ``second`` the page then says what to start.

    Returns:
        Whether the page may change by itself.
    """
    run, epochs = first.run, run_store().snapshot_epochs(first.run.id)
    if not epochs:
        elements.empty_state("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return is_live(run)
    options = _controls()
    subjects = [subject for subject in (first, second) if subject]
    if options.who == "student" and not all(map(_student_there, subjects)):
        return is_live(run)
    left, right = [st.container()] * 2 if two else st.columns([3, 1])
    with left, elements.card():
        epoch, playing = _transport(run, epochs)
        if options.who == "student":
            elements.caption(NOTE_ON_STUDENTS)
        if two:
            elements.caption(NOTE_ON_TWO_MAPS.format(who=options.who))
        found = [SPACES[options.who](subject) for subject in subjects]
        spaces = [space for space in found if space is not None]
        if len(spaces) < len(subjects):
            coming = [
                student_progress(subject) for subject, space in zip(subjects, found, strict=True) if space is None
            ]
            return any(coming) or is_live(run)
        snapshot = load_snapshot(run.id, epoch)
        epoch_map = EpochMap(first, spaces[0], snapshot, selection.selected(run, epoch, len(snapshot.images)))
        if not two:
            real, computing = _draw_map(epoch_map, options, epochs)
        selection.other_epoch_notice(run, epoch, _slider_key(run))
        pending_notice(run)
    if two:
        real, computing = _side_by_side(epoch_map, second, spaces[-1], options, epochs)
        _selection(epoch_map, real, columns=20)
    else:
        with right:
            elements.tiles(*_distances(epoch_map))
            _selection(epoch_map, real)
    waiting = student_curve(run, snapshot, epoch_map.selected.indices if epoch_map.selected else ())
    if epoch_map.selected and epoch_map.selected.image is not None:
        sample = Sample(run, snapshot, epoch_map.selected.image, epoch_map.threshold, first.card)
        waiting = inspector(sample, first.report) or waiting
    else:
        st.empty()  # replaces the inspector, see _selection
    if not two:
        _by_epoch(epoch_map, epochs)
    live = is_live(run) or second is not None and is_live(second.run)
    return playing or waiting or live or computing


def _controls() -> MapOptions:
    with st.container(horizontal=True, gap="medium"):
        return MapOptions(
            st.segmented_control(
                "Features of",
                list(SPACES),
                required=True,
                format_func=str.capitalize,
                help=("Whose last layer the map is of"),
                **url.bind_choice("features", SPACES, key="link features"),
            )
            or "teacher",
            st.segmented_control(
                "Map",
                MAPS,
                required=True,
                **url.bind_choice("method", MAPS),
                help="PCA is there at once. UMAP takes a while, once per teacher or student.",
            )
            or "PCA",
            st.segmented_control(
                "Colour",
                list(COLOURS),
                required=True,
                format_func=COLOURS.__getitem__,
                **url.bind_choice("colour", COLOURS),
            )
            or "group",
            st.segmented_control(
                "Real images", GROUNDS, required=True, format_func=str.capitalize, **url.bind_choice("ground", GROUNDS)
            )
            or "density",
        )


def _student_there(subject: Subject) -> bool:
    """Whether the run has a student's file; the page says so where it has none."""
    available = bool(run_store().student_files(subject.run.id))
    if not available:
        elements.empty_state(
            "No student is kept of this run",
            "It keeps its first one at the end of epoch 1."
            if is_live(subject.run)
            else "Its files are gone. Look at the teacher's features, or do the run again.",
        )
    return available


# ── two maps ────────────────────────────────────────────────────────────────────────────────────────


def _side_by_side(
    epoch_map: EpochMap, second: Subject | None, space: Space, options: MapOptions, epochs: list[int]
) -> tuple[list[str], bool]:
    """Draw both maps and the curve that compares them; returns what ``_draw_map`` of the first one does.

    space: of the second run.
    """
    maps = {epoch_map: epochs}
    if second and (second_epochs := run_store().snapshot_epochs(second.run.id)):
        # the same epoch, or the last one before it where this run has no such epoch
        at = max((epoch for epoch in second_epochs if epoch <= epoch_map.snapshot.epoch), default=second_epochs[0])
        maps[EpochMap(second, space, load_snapshot(second.run.id, at), key="second map")] = second_epochs
    available = {_method(options.method, each)[0] for each in maps}
    method: Method = "UMAP" if available == {"UMAP"} else "PCA"  # the same for both
    drawn = []
    columns = st.columns(2)
    for (each, epochs_of_run), column in zip(maps.items(), columns, strict=False):
        with column, elements.card():
            _title(each, epoch_map.snapshot.epoch)
            drawn.append(_draw_map(each, options, epochs_of_run, method))
            elements.tiles(*_distances(each))
    if len(maps) > 1:
        _drift(maps)
    else:
        with columns[1]:
            second_run.no_second_run(epoch_map.run)
    return drawn[0][0], any(computing for _, computing in drawn)


def _title(epoch_map: EpochMap, requested: int) -> None:
    """Draw whose map it is. requested: the epoch in view."""
    card, run, epoch = epoch_map.subject.card, epoch_map.run, epoch_map.snapshot.epoch
    note = f"epoch {epoch}" + (f": this run has no epoch {requested}" if requested != epoch else "")
    elements.row(elements.teacher_chip(card.kind), method_name(run.spec), f"seed {run.spec.seed}", elements.muted(note))


def _drift(maps: dict[EpochMap, list[int]]) -> None:
    """Draw what can be compared between the maps, each with its run's epochs."""
    curves = []
    for epoch_map, epochs in maps.items():
        some_epochs = evenly_thinned(epochs)
        curves.append(
            figures.Drift(
                some_epochs,
                [epoch_map.space.nearer_to_ood(epoch) for epoch in some_epochs],
                epoch_map.subject.card.kind,
                epoch_map.run.spec.escape.kind,
                epoch_map.space.real_nearer_to_ood,
                epoch_map.run.id,
            )
        )
    sizes = " and ".join(dict.fromkeys(formats.count(len(epoch_map.scores)) for epoch_map in maps))
    with elements.card(
        "Drift towards OOD",
        f"{sizes} synthetic images an epoch, by mean distance to the 10 nearest real "
        "images of each domain, each in the feature space of its own "
        f"{next(iter(maps)).space.model_name.partition(' ')[0]}",
    ):
        chart(figures.drift(curves, appearance.mode(), next(iter(maps)).snapshot.epoch), "drift", height=290)
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


def _method(chosen: Method, epoch_map: EpochMap) -> tuple[Method, Job | None]:
    """The method that can be drawn now, and the job of UMAP where that was chosen and is not complete."""
    if chosen == "PCA":
        return "PCA", None
    umap, features = epoch_map.space.umap, epoch_map.space.synthetic(epoch_map.snapshot.epoch)
    if umap.coordinates() is None:
        return "PCA", umap.start()
    return "UMAP", None if umap.transform(features) is not None else umap.job


def _synthetic(epoch_map: EpochMap, method: Method) -> pd.DataFrame | None:
    """A row for each synthetic image: x, y, id, fragile, score, class, to_id, to_ood; None until it is on the map."""
    xy = epoch_map.space.positions(method, epoch_map.space.synthetic(epoch_map.snapshot.epoch))
    if xy is None:
        return None
    to_id, to_ood = epoch_map.distances
    return pd.DataFrame(
        {
            "x": xy[:, 0],
            "y": xy[:, 1],
            "id": _ids(epoch_map),
            "fragile": epoch_map.fragile,
            "score": epoch_map.scores,
            "class": epoch_map.snapshot.teacher_probs.argmax(1),
            "to_id": to_id,
            "to_ood": to_ood,
        }
    )


def _ids(epoch_map: EpochMap) -> list[str]:
    """Ids of the points; they hold the epoch, so that a selection ends when the epoch changes."""
    return [_name(epoch_map, index) for index in range(len(epoch_map.scores))]


def _name(epoch_map: EpochMap, index: int) -> str:
    return f"{epoch_map.snapshot.epoch}:{index}"


# ── what is drawn ───────────────────────────────────────────────────────────────────────────────────


def _draw_map(
    epoch_map: EpochMap, options: MapOptions, epochs: list[int], shared_method: Method | None = None
) -> tuple[list[str], bool]:
    """Draw one map.

    Args:
        epoch_map: what is drawn.
        options: how.
        epochs: of its run.
        shared_method: by which both are drawn, where it is one of two.

    Returns:
        Ids of the real images under the lasso (the synthetic ones are the selection), and whether UMAP is being
        computed.
    """
    method, job = _method(options.method, epoch_map)
    method = shared_method or method
    reference, synthetic = epoch_map.space.reference(method, epoch_map.subject.report), _synthetic(epoch_map, method)
    others = [epoch_map.space.positions(method, epoch_map.space.synthetic(epoch)) for epoch in evenly_thinned(epochs)]
    within = pd.DataFrame(
        np.concatenate([xy for xy in others if xy is not None] or [np.empty((0, 2))]), columns=["x", "y"]
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
    ids, images, captions = _pictures(epoch_map, options.real_images)
    revision = f"{epoch_map.run.id} {options.who} {method} {options.real_images}"
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
        real = _selectable(epoch_map, draw, revision, ids)
    else:
        draw()
    _about(epoch_map, method, job)
    return real, job is not None and job.state not in ("stopped", "failed")


def _selectable(epoch_map: EpochMap, draw: Callable[..., ChartResult], revision: str, ids: list[str]) -> list[str]:
    """Draw the map so that its points can be selected; ids of the real images that are selected."""
    indices, known = epoch_map.selected.indices if epoch_map.selected else (), set(ids)
    here = [name for name in last_selected(epoch_map.key, revision) if name in known]
    current = _indices(epoch_map, here) == list(indices)  # else the selection was changed on another chart since
    draw(
        select="lasso",
        on_select=partial(_select, epoch_map),
        selected=here if current else [_name(epoch_map, index) for index in indices],
    )
    return [name for name in here if current and name.startswith(("id:", "ood:"))]


def _select(epoch_map: EpochMap, ids: tuple[str, ...]) -> None:
    selection.select(epoch_map.run, epoch_map.snapshot.epoch, _indices(epoch_map, ids))


def _indices(epoch_map: EpochMap, ids: Sequence[str]) -> list[int]:
    """Indices of this epoch's synthetic images among the ids, ascending."""
    prefix = f"{epoch_map.snapshot.epoch}:"
    return sorted(int(name.removeprefix(prefix)) for name in ids if name.startswith(prefix))


def _pictures(epoch_map: EpochMap, real_images: str) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, images and captions of all points that show a picture on hover."""
    to_id, to_ood = epoch_map.distances
    names, fragile = epoch_map.subject.card.class_names, epoch_map.fragile
    ids, images = _ids(epoch_map), [epoch_map.snapshot.images]
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
            f"{domain.upper()} test image\n{true[label]}, teacher: {names[given]}"
            for label, given in zip(side.labels[: len(side.images)], side.predicted, strict=False)
        ]
    return ids, np.concatenate(images), captions


def _about(epoch_map: EpochMap, method: Method, job: Job | None) -> None:
    """Draw what the map shows, and how far UMAP is."""
    if job is not None:
        note = "This is PCA until UMAP is there." if method == "PCA" else ""
        show_job(job, "UMAP", epoch_map.space.umap.restart, kept="PCA stands.", note=note, key=epoch_map.key)
    real = f"{len(epoch_map.space.id)} ID and {len(epoch_map.space.ood)} OOD test images"
    share = f" · PCA, {100 * sum(epoch_map.space.pca.explained):.1f} % of the variance" if method == "PCA" else ""
    hint = "lasso or click to see images" if epoch_map.key == "map" else "point at a dot to see its image"
    elements.caption(
        f"{formats.measured_on('synthetic', len(epoch_map.scores), epoch_map.snapshot.epoch)} · real: {real} · features of the "
        f"{epoch_map.space.model_name}{share} · {hint}"
    )


def _distances(epoch_map: EpochMap) -> list[elements.Html]:
    """The shares of the epoch's images that are nearer to real ID or OOD images, as tiles."""
    nearer = epoch_map.space.nearer_to_ood(epoch_map.snapshot.epoch)
    of = formats.measured_on("synthetic", len(epoch_map.scores), epoch_map.snapshot.epoch)
    return [
        elements.tile(
            "Nearer to ID",
            formats.per_cent(100 - nearer),
            "%",
            measured_on=of,
            role="id",
            help_text=("By mean distance to the 10 nearest real images, in feature space itself"),
        ),
        elements.tile("Nearer to OOD", formats.per_cent(nearer), "%", measured_on=of, role="ood"),
    ]


def _selection(epoch_map: EpochMap, real: list[str], columns: int = 6) -> None:
    """Draw the selected images, and their scores among all.

    Args:
        epoch_map: whose selection it is.
        real: ids of real images under the lasso.
        columns: images in a row.
    """
    indices = np.array(epoch_map.selected.indices if epoch_map.selected else (), int)
    count = len(indices) + len(real)
    with elements.card("Selected", f"{formats.count(count)} images" if count else ""):
        if not count:
            elements.caption(
                "Draw a lasso around points, or Tab to the map and frame them by keys: their images appear "
                "here. Press one to look at it closely."
            )
            return
        # One block, which the caption above replaces. What a fragment only leaves out may stay in the browser: where
        # another fragment's timer runs right after it, Streamlit 1.67 takes its run for one that was cut short, and does
        # not clean up (forward_msg_queue.py).
        with st.container():
            if len(indices):
                to_id, to_ood = epoch_map.distances
                elements.row(
                    elements.swatch("id", f"{np.median(to_id[indices]):.1f} to ID"),
                    elements.swatch("ood", f"{np.median(to_ood[indices]):.1f} to OOD"),
                    elements.muted(f"median k-NN distance of {formats.count(len(indices))} synthetic"),
                )
                _wall(epoch_map, indices[:GALLERY_IMAGES], columns)
                if len(indices) > GALLERY_IMAGES:
                    elements.caption(f"and {formats.count(len(indices) - GALLERY_IMAGES)} more")
                _histogram(epoch_map, indices)
            if real:
                _real(epoch_map, real[:GALLERY_IMAGES], columns)
            if len(indices):
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.page_link(
                        "pages/robustness/page.py",
                        label="Split them",
                        icon=":material/vertical_split:",
                        query_params=url.run_parameters(),
                    )
                    st.button(
                        "Clear",
                        icon=":material/close:",
                        key="clear selection",
                        on_click=selection.clear,
                        args=(epoch_map.run,),
                    )


def _wall(epoch_map: EpochMap, indices: np.ndarray, columns: int) -> None:
    _, _, captions = _pictures(epoch_map, "density")
    clickable_gallery(
        epoch_map.snapshot.images[indices],
        indices,
        "wall map",
        partial(selection.inspect, epoch_map.run, epoch_map.snapshot.epoch),
        columns=columns,
        chosen=epoch_map.selected.image if epoch_map.selected else None,
        roles=["fragile" if epoch_map.fragile[index] else "robust" for index in indices],
        titles=[captions[index].replace("\n", " · ") for index in indices],
    )


def _real(epoch_map: EpochMap, names: list[str], columns: int) -> None:
    ids, pictures, captions = _pictures(epoch_map, "points")
    positions = [ids.index(name) for name in names]
    gallery(
        pictures[positions],
        columns=columns,
        roles=["id" if name.startswith("id:") else "ood" for name in names],
        titles=[captions[at].replace("\n", " · ") for at in positions],
    )


def _histogram(epoch_map: EpochMap, indices: np.ndarray) -> None:
    """Draw the epoch's scores, with those of the selection marked."""
    split = epoch_map.run.spec.split
    edges = bin_edges(split.score, [epoch_map.scores], split.max_epsilon)
    figure = figures.scores(
        epoch_map.scores,
        epoch_map.threshold,
        appearance.mode(),
        score=split.score,
        max_epsilon=split.max_epsilon,
        edges=edges,
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text="")
    mark_samples(figure, epoch_map.scores[indices], [_name(epoch_map, index) for index in indices], edges)
    chart(figure, "selected scores", height=190, label="Robustness scores of the selected images")


def _by_epoch(epoch_map: EpochMap, epochs: list[int]) -> None:
    """Draw the median k-NN distance to ID and to OOD, epoch by epoch."""
    if len(epochs) < 2:
        return
    drawn_epochs = evenly_thinned(epochs)
    medians = np.array([[np.median(part) for part in epoch_map.space.distances(epoch)] for epoch in drawn_epochs])
    roles: dict[elements.Role, str] = {"id": "to real ID", "ood": "to real OOD"}
    style = theme.style(appearance.mode())
    figure = theme.new_figure(appearance.mode(), "distances", "Epoch", "Median k-NN distance (a.u.)")
    for column, (role, name) in enumerate(roles.items()):
        figure.add_trace(
            go.Scatter(
                x=drawn_epochs,
                y=medians[:, column],
                name=name,
                mode="lines+markers",
                uid=theme.trace_id("distance", role),
                line={"color": appearance.colour(role), "width": style.line_width},
                marker={"size": style.dot_size},
                hovertemplate=f"<b>%{{y:.2f}}</b> {name}, epoch %{{x}}<extra></extra>",
            )
        )
    figure.update_xaxes(tickformat="d", nticks=min(len(drawn_epochs), 12))
    figure.update_yaxes(rangemode="tozero")
    with elements.card(
        "How far synthetic images are from real ones",
        f"{len(epoch_map.scores)} synthetic images an epoch; "
        f"the 10 nearest real images of each domain, among features of the {epoch_map.space.model_name}",
    ):
        chart(figure, "distances", height=260)
