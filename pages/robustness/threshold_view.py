"""The robustness page below its header: a run's synthetic images, split at the threshold that the user drags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.figures.run_data import available_scores, image_scores
from atesc_core.figures.scores import bin_edges, bin_names
from atesc_core.figures.selection import in_bins, mark_samples
from atesc_core.robustness.thresholds import MIN_IMAGES, SUGGESTIONS, at_share
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import RULE_NAMES, SCORE_NAMES, SCORE_UNITS, threshold_text
from pages.robustness.detection_view import detection_view, real_tiles
from pages.robustness.trial_form import trial_button, trial_form
from pages.robustness.trial_result import trial_result
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.state import selection, url
from pages.shared.state.controlled_widget import controlled_widget
from pages.shared.state.threshold import choose_threshold, suggestions, threshold_in_view
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.apply_threshold import apply_controls, threshold_warning
from pages.shared.ui.chart import ThresholdHandle, chart, last_selected, thumbnails
from pages.shared.ui.epoch_slider import epoch_slider
from pages.shared.ui.gallery import clickable_gallery
from pages.shared.ui.inspector import Sample, inspector
from pages.shared.ui.student_curve import student_curve

EQUAL_RATE = "same share"  # suggestion: the threshold with as many fragile images as in the run's split
GROUP_IMAGES = 32  # largest number of images shown of each group
SELECTED_IMAGES = 64  # largest number of selected images shown
MARKS = 400  # largest number of selected images marked in the histogram
COLUMNS = 8


@dataclass(frozen=True)
class ImageSplit:
    """An epoch's images, split by one score at one threshold."""

    run: DistillationRun
    snapshot: Snapshot
    score: str
    values: np.ndarray  # (N,) the images' scores
    threshold: float
    class_names: tuple[str, ...]
    selected: selection.Selection | None = None  # the selection, if it is of this epoch

    @property
    def by_run_score(self) -> bool:
        """Whether this score splits the run."""
        return self.score == self.run.spec.split.score

    @property
    def fragile(self) -> np.ndarray:
        """(N,) bool: which images are fragile at the threshold."""
        return self.values <= self.threshold

    @property
    def indices(self) -> np.ndarray:
        """Indices of the selected images, ascending."""
        return np.array(self.selected.indices if self.selected else (), int)

    def score_text(self, value: float) -> str:
        """A score as text, without its unit."""
        if math.isinf(value):
            return f"> {self.run.spec.split.max_epsilon:g}"
        return f"{value:.{1 if self.score == 'min_eps' else 2}f}".replace("-", "−")

    def threshold_text(self, value: float) -> str:
        """A threshold as text, without its unit."""
        return "one group" if math.isinf(value) else self.score_text(value)


def threshold_view(run: DistillationRun, card: TeacherCard | None, report: Report | None) -> bool:
    """Draw the whole page below its header. Call it in a fragment.

    Args:
        run: the run, read from the database just now.
        card: the card of its teacher; None if the teacher was deleted.
        report: the report on its teacher; None until it is measured.

    Returns:
        Whether the page waits for a computation.
    """
    epochs = run_store().snapshot_epochs(run.id)
    if not epochs:
        elements.empty_state("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return False
    real = report if report is not None and report.attacked else None
    left, right = st.columns([5, 2], vertical_alignment="bottom", gap="large")
    with left:
        score = _score_choice(run, available_scores(load_snapshot(run.id, epochs[-1]), real))
    with right:
        epoch = epoch_slider(run, epochs, slider_key(run), selected=selection.selected(run))
    snapshot = load_snapshot(run.id, epoch)
    values = image_scores(snapshot, score, real)
    threshold = threshold_in_view(run, snapshot, score, values)
    class_names = card.class_names if card else tuple(map(str, range(snapshot.teacher_probs.shape[1])))
    selected = selection.selected(run, epoch, len(snapshot.images))
    split = ImageSplit(run, snapshot, score, values, threshold, class_names, selected)
    selection.other_epoch_notice(run, epoch, slider_key(run))
    left, right = st.columns([3, 1])
    with left, elements.card():
        _histogram(split, real)
        _suggestions(split)
        with elements.hidden_when_presenting("uses", horizontal=True, gap="small"):
            _threshold_actions(split)
            options = trial_button(run, split.threshold, _refusal(split))
        if options:
            trial_form(run, split.threshold, options)
    with right, st.container(key="split-numbers"):
        _numbers(split, real)
    trial_result(run)
    _selected(split)
    waiting = student_curve(run, snapshot, selected.indices if selected else ())
    if selected and selected.image is not None:
        sample = Sample(run, snapshot, selected.image, threshold_in_view(run, snapshot), card)
        waiting = inspector(sample, report) or waiting
    else:
        st.empty()  # replaces the inspector: without it, the inspector may stay in the browser (Streamlit 1.67)
    if real is not None:
        detection_view(snapshot, score, split.threshold, suggested_thresholds(split), real)
    _groups(split)
    return waiting


def _score_choice(run: DistillationRun, scores: list[str]) -> str:
    """Draw the choice of the score, and return the chosen score."""
    default = run.spec.split.score
    score = st.segmented_control(
        "Score",
        scores,
        required=True,
        format_func=SCORE_NAMES.__getitem__,
        help=(
            "min ε: the smallest attack that changes the teacher's label. Margin and KL: at ε = "
            f"{run.spec.split.epsilon:g}/255, how near the label came to changing, and how far the output moved. "
            "Comparators attack nothing. Random: chance; confidence: log-odds of the teacher's label; energy: of its "
            "logits; GMM: chance of a high loss, by TA-DFKD's mixture. Oracle: has seen real images of both domains; "
            "for display only."
        ),
        **url.bind_widget("score", url.read_choice("score", scores, default), key=f"score {run.id}", default=default),
    )
    return score or default


def slider_key(run: DistillationRun) -> str:
    """Key of the epoch slider."""
    return f"robustness epoch {run.id}"


# ── the threshold ───────────────────────────────────────────────────────────────────────────────────


def suggested_thresholds(split: ImageSplit) -> dict[str, float]:
    """Rule -> threshold; with ``EQUAL_RATE`` if the score does not split the run."""
    share = split.run.spec.split.fragile_share
    thresholds = suggestions(split.run.id, split.snapshot.epoch, split.score, split.values, share)
    if thresholds and not split.by_run_score:
        thresholds = thresholds | {EQUAL_RATE: at_share(split.values, run_share(split))}
    return thresholds


def run_share(split: ImageSplit) -> float:
    """Share of the epoch's images that are fragile by the run's score and threshold, 0..1."""
    return float(split.snapshot.fragile.mean())


def _range(split: ImageSplit, edges: np.ndarray) -> tuple[float, float, float]:
    """Lowest and highest threshold, and the step between thresholds: a power of ten, with a few hundred steps."""
    low, high = float(edges[0]), float(edges[-1])
    if split.score == "min_eps":
        return low, high, 0.1
    step = 10.0 ** math.floor(math.log10((high - low) / 100))
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


# ── the page's parts ────────────────────────────────────────────────────────────────────────────────


def _histogram(split: ImageSplit, real: Report | None) -> None:
    """Draw the histogram of the scores, with the threshold as a line, a slider and a number; one group has no line."""
    run, score = split.run, split.score
    reference = {"id_values": real.id.score(score), "ood_values": real.ood.score(score)} if real else {}
    newest = load_snapshot(run.id, run_store().snapshot_epochs(run.id)[-1])  # so that all epochs have the same axis
    edges = bin_edges(score, [image_scores(newest, score, real), *reference.values()], run.spec.split.max_epsilon)
    figure = figures.scores(
        split.values,
        split.threshold,
        appearance.mode(),
        score=score,
        max_epsilon=run.spec.split.max_epsilon,
        suggestions=suggested_thresholds(split),
        edges=edges,
        draw_threshold=False,
        **reference,
    )
    low, high, step = _range(split, edges)
    choose = partial(choose_threshold, run, score=score)
    chart(
        figure,
        "scores",
        height=400,
        revision=f"{run.id} {score}",
        on_threshold=choose,
        threshold=(
            ThresholdHandle(split.threshold, low, high, step, unit=SCORE_UNITS[score], scores=split.values)
            if math.isfinite(split.threshold)
            else None
        ),
        **_selection_arguments(split, figure, edges),
    )
    digits = max(0, -math.floor(math.log10(step)))
    value = round(split.threshold, digits)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.slider(
        "Threshold",
        low,
        high,
        step=step,
        format=f"%.{digits}f",
        label_visibility="collapsed",
        **controlled_widget(f"slide {run.id} {score}", min(max(value, low), high), choose, initial="value"),
    )
    right.number_input(
        "Threshold",
        step=step,
        format=f"%.{digits}f",
        label_visibility="collapsed",
        placeholder="∞",
        **controlled_widget(f"type {run.id} {score}", value if math.isfinite(value) else None, choose, initial="value"),
    )


def _selection_arguments(split: ImageSplit, figure: go.Figure, edges: np.ndarray) -> dict[str, Any]:
    """Arguments of ``chart`` that let the user select bars of the histogram, and that show the selected images."""
    figure.update_layout(selectdirection="h")
    indices = split.indices
    bars = [str(name) for name in last_selected("scores", f"{split.run.id} {split.score}")]
    selected_by_bars = len(indices) and np.array_equal(in_bins(split.values, edges, bars), indices)
    arguments = {
        "select": "box",
        "on_select": partial(_select, split, edges),
        "selected": bars if selected_by_bars else (),
    }
    if len(indices):
        marked = indices[np.unique(np.linspace(0, len(indices) - 1, MARKS).round().astype(int))]
        ids = [f"{split.snapshot.epoch}:{index}" for index in marked]
        mark_samples(figure, split.values[marked], ids, edges)
        arguments["thumbnails"] = thumbnails(split.snapshot.images[marked], ids)
    return arguments


def _select(split: ImageSplit, edges: np.ndarray, ids: tuple[int | str, ...]) -> None:
    """Select the images of the bars. If only a mark was clicked, inspect its image. No ids clear the selection."""
    points = [str(point) for point in ids]
    marks = [point for point in points if point.startswith(f"{split.snapshot.epoch}:")]
    if marks and not set(bin_names(edges)) & set(points):
        selection.inspect(split.run, split.snapshot.epoch, int(marks[0].partition(":")[2]))
    else:
        selection.select(split.run, split.snapshot.epoch, in_bins(split.values, edges, points))


def _suggestions(split: ImageSplit) -> None:
    """Draw a button for each suggested threshold. A click chooses it."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Suggested", width="content")
        for rule, value in suggested_thresholds(split).items():
            too_few = rule in ("auto", "mixture") and len(split.values) < MIN_IMAGES
            st.button(
                f"{RULE_NAMES.get(rule, rule)} "
                + (f"needs {MIN_IMAGES} images" if too_few else split.threshold_text(value)),
                disabled=too_few,
                key=f"suggest {rule}",
                help=_rule_description(split, rule) + _kept_images(split) * too_few,
                on_click=choose_threshold,
                args=(split.run, value, split.score),
            )
        if split.by_run_score:
            st.button(
                f"this run's {split.threshold_text(split.snapshot.threshold)}",
                key="suggest run",
                help=(f"In force at the end of epoch {split.snapshot.epoch}"),
                on_click=choose_threshold,
                args=(split.run, split.snapshot.threshold, split.score),
            )


def _kept_images(split: ImageSplit) -> str:
    """Where to ask for more images to suggest from, as text."""
    return (
        f" This run keeps {formats.count(split.run.spec.snapshot_images)} images an epoch; for another run: Images "
        f"kept an epoch, among the advanced settings (`--set snapshot_images={MIN_IMAGES}`)."
    )


def _rule_description(split: ImageSplit, rule: str) -> str:
    """How a suggested threshold is computed, as text."""
    if rule == EQUAL_RATE:
        return (
            f"As many fragile images as by this run's own split: {100 * run_share(split):.1f} % of those of epoch "
            f"{split.snapshot.epoch}. So two scores are compared at an equal rate. No real data is used."
        )
    if rule == "share":
        return f"{100 * split.run.spec.split.fragile_share:g} % of the images are fragile. No real data is used."
    return f"{(SUGGESTIONS[rule].__doc__ or '').splitlines()[0]} No real data is used."


def _numbers(split: ImageSplit, real: Report | None) -> None:
    """Draw the size of each group, and the detection rates on real validation images."""
    images = len(split.values)
    tiles = []
    groups: dict[elements.Role, np.ndarray] = {"fragile": split.fragile, "robust": ~split.fragile}
    for role, members in groups.items():
        count = int(members.sum())
        tiles.append(
            elements.tile(
                role.capitalize(),
                formats.per_cent(100 * count / images),
                "%",
                role=role,
                measured_on=(
                    f"{formats.count(count)} of {formats.count(images)} synthetic · epoch {split.snapshot.epoch}"
                ),
            )
        )
    if real is not None:
        tiles += real_tiles(split.score, split.threshold, real)
    elements.tiles(*tiles)
    if real is not None:
        elements.caption("Real images are for display only: no student learns from them.")


def _threshold_actions(split: ImageSplit) -> None:
    """Draw the buttons that use the threshold: for this run while it is live, and for the next run."""
    run = split.run
    apply_controls(run, split.threshold, _refusal(split))
    threshold_warning(run.spec.split.model_copy(update={"score": split.score}), split.threshold)
    refusal = ""
    if split.score == "oracle":
        refusal = "The oracle has seen real images: no student may learn by it"
    elif math.isinf(split.threshold):
        refusal = "One group: a run that holds no image back is a plain one"
    changes: dict[str, Any] = {"split.score": split.score, "split.threshold": round(split.threshold, 6)}
    if not run.spec.escape.splits:
        changes["escape.kind"] = "atesc"
    elements.page_button(
        "distill/page.py",
        "Use for the next run" if refusal else f"Use {threshold_text(split.threshold)} for the next run",
        name="use for the next run",
        icon=":material/experiment:",
        disabled=bool(refusal),
        help=refusal or "Opens the form of a new run with these settings and this threshold",
        query_params=None if refusal else {"spec": run.spec.replaced(changes).to_token()},
    )


def _refusal(split: ImageSplit) -> str:
    """Why the threshold cannot be applied to the run; empty if it can."""
    if not split.run.spec.escape.splits:
        return "This run splits nothing"
    return "" if split.by_run_score else f"This run splits by {SCORE_NAMES[split.run.spec.split.score]}"


def _groups(split: ImageSplit) -> None:
    """Draw the images of both groups, nearest to the threshold first, and the teacher's classes in each group."""
    order = np.argsort(split.values, kind="stable")
    groups = {"fragile": order[split.fragile[order]][::-1], "robust": order[~split.fragile[order]]}
    columns = st.columns(3)
    for (role, members), column in zip(groups.items(), columns, strict=False):
        note = (
            f"nearest the threshold first · {min(GROUP_IMAGES, len(members))} of {formats.count(len(members))} · "
            f"epoch {split.snapshot.epoch}"
        )
        with column, elements.card(role.capitalize(), note, height="stretch"):
            if not len(members):
                elements.caption("No image on this side of the threshold.")
                continue
            near = members[:GROUP_IMAGES]
            _wall(split, near, role)
    with (
        columns[2],
        elements.card(
            "Teacher's classes on each side",
            formats.measured_on("synthetic", len(split.values), split.snapshot.epoch),
            height="stretch",
        ),
    ):
        figure = figures.class_sides(
            split.snapshot.teacher_probs.argmax(1), split.fragile, appearance.mode(), class_names=split.class_names
        )
        low, high = figure.layout.xaxis.range
        figure.update_xaxes(range=[low - 0.1 * (high - low), high])  # space for the numbers in a narrow card
        chart(figure, "sides", height=360)


def _selected(split: ImageSplit) -> None:
    """Draw the selected images, whichever page or chart selected them."""
    indices = split.indices
    if not len(indices):
        elements.caption("Drag across the bars to select their images; press an image to look at it closely.")
        return
    with elements.card("Selected", formats.measured_on("synthetic", len(indices), split.snapshot.epoch)):
        ordered = indices[np.argsort(split.values[indices], kind="stable")]
        _wall(split, ordered[:SELECTED_IMAGES], "selected", columns=2 * COLUMNS)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                "embedding/page.py",
                label="See them on the map",
                icon=":material/scatter_plot:",
                query_params=url.run_parameters(),
            )
            st.button(
                "Clear", icon=":material/close:", key="clear selection", on_click=selection.clear, args=(split.run,)
            )
            if len(indices) > SELECTED_IMAGES:
                st.caption(f"and {formats.count(len(indices) - SELECTED_IMAGES)} more", width="content")


def _wall(split: ImageSplit, members: np.ndarray, name: str, columns: int = COLUMNS) -> None:
    """Draw images outlined by group. A click on an image opens the inspector."""
    clickable_gallery(
        split.snapshot.images[members],
        members,
        f"wall {name}",
        partial(selection.inspect, split.run, split.snapshot.epoch),
        columns=columns,
        roles=["fragile" if split.fragile[index] else "robust" for index in members],
        titles=_titles(split, members),
        captions=[split.score_text(split.values[index]) for index in members],
        chosen=split.selected.image if split.selected else None,
    )


def _titles(split: ImageSplit, members: np.ndarray) -> list[str]:
    """The tooltip of each image."""
    probabilities = split.snapshot.teacher_probs[members]
    return [
        f"{split.class_names[row.argmax()]} · {100 * row.max():.1f} % sure · {SCORE_NAMES[split.score]} "
        f"{split.score_text(split.values[index])}{SCORE_UNITS[split.score]}"
        for index, row in zip(members, probabilities, strict=True)
    ]
