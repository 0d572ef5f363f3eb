"""The split of a run's synthetic images at a line that the user drags: everything here follows the line at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from atesc_core import figures
from atesc_core.figures.run_data import available_scores, image_scores
from atesc_core.figures.scores import bin_edges, bin_names
from atesc_core.figures.selection import in_bins, mark_samples
from atesc_core.robustness.detection import SUGGESTIONS, at_share
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.vocabulary import RULE_NAMES, SCORE_NAMES, SCORE_UNITS
from pages.robustness import trial_view
from pages.robustness.detection_view import detection_view, real_tiles
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.state import selection, url
from pages.shared.state import threshold as lines
from pages.shared.state.threshold import suggestions, threshold_for_score
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ThresholdHandle, chart, last_selected, thumbnails
from pages.shared.ui.gallery import clickable_gallery
from pages.shared.ui.inspector import Sample, inspector
from pages.shared.ui.polling import is_live
from pages.shared.ui.student_curve import student_curve

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

EQUAL = "same share"
SHOWN = 32  # images of each group, nearest the line first
PICKED = 64  # images of a selection
STROKES = 400  # selected images that are marked in the histogram
COLUMNS = 8
DIALS = ("slide", "type")  # that move the line, beside the histogram itself


@dataclass(frozen=True)
class Split:
    """What the page is about: an epoch's images, by one score, at one line."""

    run: DistillationRun
    shown: Snapshot
    score: str
    values: np.ndarray  # (N,) the images' scores
    line: float
    class_names: tuple[str, ...]
    picked: selection.Selection | None = None  # of this epoch's images

    @property
    def own(self) -> bool:
        """Whether this is the score that the run itself is split by."""
        return self.score == self.run.spec.split.score

    @property
    def fragile(self) -> np.ndarray:
        return self.values <= self.line

    @property
    def of(self) -> str:
        return formats.measured_on("synthetic", len(self.values), self.shown.epoch)

    def told(self, value: float) -> str:
        """A score in words."""
        if math.isinf(value):
            return f"> {self.run.spec.split.max_epsilon:g}"
        return f"{value:.1f}" if self.score == "min_eps" else f"{value:.2f}"


def split_view(run: DistillationRun, card: TeacherCard | None, report: Report | None) -> bool:
    """The whole page below its header; whether it waits for a computation. Call it in a fragment."""
    if not run_store().snapshot_epochs(run.id):
        elements.empty_state("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return False
    real = report if report is not None and report.attacked else None
    left, right = st.columns([5, 2], vertical_alignment="bottom", gap="large")
    with left:
        newest = load_snapshot(run.id, run_store().snapshot_epochs(run.id)[-1])
        offered, usual = available_scores(newest, real), run.spec.split.score
        own = url.bind_widget("score", url.read_choice("score", offered, usual), key=f"score {run.id}", usual=usual)
        score = st.segmented_control(
            "Score",
            offered,
            required=True,
            format_func=SCORE_NAMES.get,
            **own,
            help=(
                "min ε: the smallest attack that changes the teacher's label. Margin and KL: at ε = "
                f"{run.spec.split.epsilon:g}/255, how near the label came to changing, and how far the output moved. "
                "Comparators attack nothing. Random: chance; confidence: log-odds of the teacher's label; energy: of its "
                "logits; GMM: chance of a high loss, by TA-DFKD's mixture. Oracle: has seen real images of both domains; "
                "for display only."
            ),
        )
    with right:
        epoch = epoch_slider(run)
    shown = load_snapshot(run.id, epoch)
    names = card.class_names if card else tuple(map(str, range(shown.teacher_probs.shape[1])))
    values = image_scores(shown, score, real)
    picked = selection.selected(run, epoch, len(shown.images))
    split = Split(run, shown, score, values, threshold_for_score(run, shown, score, values), names, picked)
    selection.other_epoch_notice(run, epoch, slider_key(run))
    left, right = st.columns([3, 1])
    with left, elements.card():
        _histogram(split, real)
        _suggestions(split)
        with elements.hidden_when_presenting("uses", horizontal=True, gap="small"):
            _uses(split)
            chance = trial_view.offer(run, split.line, _not_this_line(split))
        if chance:
            trial_view.set_up(run, split.line, chance)
    with right, st.container(key="split-numbers"):
        _numbers(split, real)
    trial_view.watch(run)
    _selected(split)
    waiting = student_curve(run, shown, picked.indices if picked else ())
    if picked and picked.image is not None:
        own_line = threshold_for_score(run, shown, run.spec.split.score, shown.scores[run.spec.split.score])
        waiting = inspector(Sample(run, shown, picked.image, own_line, card), report) or waiting
    if real is not None:
        detection_view(shown, score, split.line, suggested(split), real)
    _groups(split)
    return waiting


def slider_key(run: DistillationRun) -> str:
    return f"robustness epoch {run.id}"


def epoch_slider(run: DistillationRun) -> int:
    """The epoch whose images are shown: that of the selection at first, else the newest; the newest again when it
    comes, unless the user went back to an earlier one or selected images of this one."""
    epochs = run_store().snapshot_epochs(run.id)
    key, seen, picked = slider_key(run), f"robustness newest {run.id}", selection.selected(run)
    usual = picked.epoch if picked else epochs[-1]
    chosen = st.session_state.get(key, url.read_choice("epoch", epochs, usual))
    follows = chosen >= st.session_state.get(seen, epochs[-1]) and not (picked and picked.epoch == chosen)
    st.session_state[key] = epochs[-1] if chosen not in epochs or follows else chosen
    st.session_state[seen] = epochs[-1]
    url.set_parameter("epoch", None if st.session_state[key] == usual else st.session_state[key])
    if len(epochs) == 1:
        elements.caption(f"Epoch {epochs[0]}")
        return epochs[0]
    return st.select_slider("Epoch", epochs, key=key)


# ── the line ────────────────────────────────────────────────────────────────────────────────────────


def put_line(run: DistillationRun, score: str, value: float, by: str = "") -> None:
    """by: the dial it was moved with."""
    lines.choose_threshold(run, value, score)
    for dial in DIALS:
        if dial != by:
            st.session_state[_turns(dial)] = st.session_state.get(_turns(dial), 0) + 1


def _turns(dial: str) -> str:
    """How often the line was moved by anything but this dial, in this visit's memory."""
    return f"moved without {dial}"


def _dial(split: Split, dial: str) -> str:
    """The dial's key."""
    return f"{dial} {split.run.id} {split.score} {st.session_state.get(_turns(dial), 0)}"


def suggested(split: Split) -> dict[str, float]:
    """Those, and for another score than the run's own the threshold at an equal rate."""
    share = split.run.spec.split.fragile_share
    found = suggestions(split.run.id, split.shown.epoch, split.score, split.values, share)
    if found and not split.own:
        found = found | {EQUAL: at_share(split.values, own_share(split))}
    return found


def own_share(split: Split) -> float:
    """Of the epoch's images, 0..1: fragile by the run's own score and threshold."""
    return float(split.shown.fragile.mean())


def _span(split: Split, edges: np.ndarray) -> tuple[float, float, float]:
    """Low and high end of the line's way, and its step: a round number, about 300 of them."""
    low, high = float(edges[0]), float(edges[-1])
    if split.score == "min_eps":
        return low, high, 0.1
    step = 10 ** math.floor(math.log10((high - low) / 100))
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


# ── its pieces ──────────────────────────────────────────────────────────────────────────────────────


def _histogram(split: Split, real: Report | None) -> None:
    spec, score = split.run.spec.split, split.score
    reference = {"id_values": real.id.scores(score), "ood_values": real.ood.scores(score)} if real else {}
    last = load_snapshot(split.run.id, run_store().snapshot_epochs(split.run.id)[-1])  # the same axis at every epoch
    edges = bin_edges(score, [image_scores(last, score, real), *reference.values()], spec.max_epsilon)
    figure = figures.scores(
        split.values,
        split.line,
        appearance.mode(),
        score=score,
        max_epsilon=spec.max_epsilon,
        suggestions=suggested(split),
        edges=edges,
        line=False,
        **reference,
    )
    low, high, step = _span(split, edges)
    put = partial(put_line, split.run, score)
    chart(
        figure,
        "scores",
        height=400,
        revision=f"{split.run.id} {score}",
        on_threshold=put,
        threshold=ThresholdHandle(
            split.line,
            low,
            high,
            step,
            "threshold",
            SCORE_UNITS[score],
            split.values,
            left_colour=appearance.colour("fragile"),
            right_colour=appearance.colour("robust"),
        ),
        **_selecting(split, figure, edges),
    )
    _dials(split, low, high, step, put)


def _selecting(split: Split, figure: go.Figure, edges: np.ndarray) -> dict[str, Any]:
    """What makes the histogram take a range of scores for a selection, and show the present one."""
    figure.update_layout(selectdirection="h")
    indices = np.array(split.picked.indices if split.picked else (), int)
    own = last_selected("scores", f"{split.run.id} {split.score}")
    taken = {
        "select": "box",
        "on_select": partial(_take, split, edges),
        "selected": (own if len(indices) and np.array_equal(in_bins(split.values, edges, own), indices) else ()),
    }
    if len(indices):
        some = indices[np.unique(np.linspace(0, len(indices) - 1, STROKES).round().astype(int))]
        ids = [f"{split.shown.epoch}:{index}" for index in some]
        mark_samples(figure, split.values[some], ids, edges)
        taken["thumbnails"] = thumbnails(split.shown.images[some], ids)
    return taken


def _take(split: Split, edges: np.ndarray, ids: tuple[str, ...]) -> None:
    """Bars: their images are selected. A stroke: its image is looked at. Nothing: nothing is selected any more."""
    strokes = [own for own in ids if own.startswith(f"{split.shown.epoch}:")]
    if strokes and not set(bin_names(edges)) & set(ids):
        selection.inspect(split.run, split.shown.epoch, int(strokes[0].partition(":")[2]))
    else:
        selection.select(split.run, split.shown.epoch, in_bins(split.values, edges, ids))


def _dials(split: Split, low: float, high: float, step: float, put: Callable[..., None]) -> None:
    """The same line as a slider and as a number.

    Moved by another, a dial is a new one, and the old one is not heard any more: the browser may send its place once
    more before it hears of the move, and the line would go back there.
    """
    digits = max(0, -math.floor(math.log10(step)))
    slider, number = (_dial(split, dial) for dial in DIALS)

    def moved(dial: str, key: str) -> None:
        if key == _dial(split, dial):
            put(st.session_state[key], dial)

    st.session_state[slider] = min(max(round(split.line, digits), low), high)
    st.session_state[number] = round(split.line, digits)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.slider(
        "Threshold",
        low,
        high,
        step=step,
        key=slider,
        format=f"%.{digits}f",
        on_change=moved,
        args=("slide", slider),
        label_visibility="collapsed",
    )
    right.number_input(
        "Threshold",
        step=step,
        key=number,
        format=f"%.{digits}f",
        on_change=moved,
        args=("type", number),
        label_visibility="collapsed",
    )


def _suggestions(split: Split) -> None:
    """The suggested thresholds, to be taken by a click."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Suggested", width="content")
        for name, value in suggested(split).items():
            st.button(
                f"{RULE_NAMES.get(name, name)} {split.told(value)}",
                key=f"suggest {name}",
                help=_rule(split, name),
                on_click=put_line,
                args=(split.run, split.score, value),
            )
        if split.own:
            st.button(
                f"this run's {split.told(split.shown.threshold)}",
                key="suggest run",
                help=(f"In force at the end of epoch {split.shown.epoch}"),
                on_click=put_line,
                args=(split.run, split.score, split.shown.threshold),
            )


def _rule(split: Split, name: str) -> str:
    """Where a suggestion comes from, in words."""
    if name == EQUAL:
        return (
            f"As many fragile images as by this run's own split: {100 * own_share(split):.1f} % of those of epoch "
            f"{split.shown.epoch}. So two scores are compared at an equal rate. No real data is used."
        )
    if name == "share":
        return f"{100 * split.run.spec.split.fragile_share:g} % of the images are fragile. No real data is used."
    return f"{(SUGGESTIONS[name].__doc__ or '').splitlines()[0]} No real data is used."


def _numbers(split: Split, real: Report | None) -> None:
    images = len(split.values)
    tiles = []
    for role, members in (("fragile", split.fragile), ("robust", ~split.fragile)):
        count = int(members.sum())
        tiles.append(
            elements.tile(
                role.capitalize(),
                formats.per_cent(100 * count / images),
                "%",
                role=role,
                measured_on=(
                    f"{formats.count(count)} of {formats.count(images)} synthetic · epoch {split.shown.epoch}"
                ),
            )
        )
    if real is not None:
        tiles += real_tiles(split.score, split.line, real)
    st.html("<style>.st-key-split-numbers .atesc-tiles { grid-template-columns: 1fr }</style>")
    elements.tiles(*tiles)
    if real is not None:
        elements.caption("Real images are for display only: no student learns from them.")


def _uses(split: Split) -> None:
    """Where the line may go from here."""
    run = split.run
    if is_live(run):
        why = _not_this_line(split)
        if st.button(
            "Use in this run",
            type="primary",
            icon=":material/bolt:",
            help=why or "From its next round on",
            disabled=bool(why),
        ):
            run_store().set_threshold(run.id, split.line)
            st.toast(f"Threshold {split.told(split.line)} from the next round on", icon=":material/check:")
    changes = {"split.score": split.score, "split.threshold": round(split.line, 6)}
    if not run.spec.escape.splits:
        changes["escape.kind"] = "atesc"
    shown_only = split.score == "oracle"
    elements.page_button(
        "pages/distill/page.py",
        "Use for the next run",
        icon=":material/experiment:",
        disabled=shown_only,
        help=(
            "The oracle has seen real images: no student may learn by it"
            if shown_only
            else "Opens the form of a new run with these settings and this threshold"
        ),
        query_params=None if shown_only else {"spec": run.spec.replaced(changes).to_token()},
    )


def _not_this_line(split: Split) -> str:
    """Why the line cannot be a threshold of the run itself; empty where it can."""
    if not split.run.spec.escape.splits:
        return "This run splits nothing"
    return "" if split.own else f"This run splits by {SCORE_NAMES[split.run.spec.split.score]}"


def _groups(split: Split) -> None:
    """Both groups' images, nearest the line first, and the classes on each side."""
    order = np.argsort(split.values, kind="stable")
    groups = {"fragile": order[split.fragile[order]][::-1], "robust": order[~split.fragile[order]]}
    columns = st.columns(3)
    for (role, members), column in zip(groups.items(), columns, strict=False):
        note = (
            f"nearest the line first · {min(SHOWN, len(members))} of {formats.count(len(members))} · "
            f"epoch {split.shown.epoch}"
        )
        with column, elements.card(role.capitalize(), note, height="stretch"):
            if not len(members):
                elements.caption("No image on this side of the line.")
                continue
            near = members[:SHOWN]
            _wall(split, near, role)
    with columns[2], elements.card("Teacher's classes on each side", split.of, height="stretch"):
        figure = figures.class_sides(
            split.shown.teacher_probs.argmax(1), split.fragile, appearance.mode(), class_names=split.class_names
        )
        low, high = figure.layout.xaxis.range
        figure.update_xaxes(range=[low - 0.1 * (high - low), high])  # a narrow card needs more room for the numbers
        chart(figure, "sides", height=360)


def _selected(split: Split) -> None:
    """The images of the selection, wherever it was made."""
    indices = np.array(split.picked.indices if split.picked else (), int)
    if not len(indices):
        elements.caption("Drag across the bars to select their images; press an image to look at it closely.")
        return
    with elements.card("Selected", formats.measured_on("synthetic", len(indices), split.shown.epoch)):
        ordered = indices[np.argsort(split.values[indices], kind="stable")]
        _wall(split, ordered[:PICKED], "selected", columns=2 * COLUMNS)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                "pages/embedding/page.py",
                label="See them on the map",
                icon=":material/scatter_plot:",
                query_params=url.run_parameters(),
            )
            st.button(
                "Clear", icon=":material/close:", key="clear selection", on_click=selection.clear, args=(split.run,)
            )
            if len(indices) > PICKED:
                st.caption(f"and {formats.count(len(indices) - PICKED)} more", width="content")


def _wall(split: Split, members: np.ndarray, name: str, columns: int = COLUMNS) -> None:
    """Images to be pressed, outlined by group."""
    clickable_gallery(
        split.shown.images[members],
        members,
        f"wall {name}",
        partial(selection.inspect, split.run, split.shown.epoch),
        columns=columns,
        roles=["fragile" if split.fragile[index] else "robust" for index in members],
        titles=_titles(split, members),
        captions=[split.told(split.values[index]) for index in members],
        chosen=split.picked.image if split.picked else None,
    )


def _titles(split: Split, members: np.ndarray) -> list[str]:
    """What a pointer sees over each image."""
    probabilities = split.shown.teacher_probs[members]
    return [
        f"{split.class_names[row.argmax()]} · {100 * row.max():.1f} % sure · {SCORE_NAMES[split.score]} "
        f"{split.told(split.values[index])}{SCORE_UNITS[split.score]}"
        for index, row in zip(members, probabilities, strict=True)
    ]
