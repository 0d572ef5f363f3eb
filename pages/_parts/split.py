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
from atesc_core.figures.scores import bin_edges, bin_names
from atesc_core.figures.selection import in_bins, mark_samples
from atesc_core.runs import Run, Snapshot
from pages._parts import look, selection
from pages._parts.chart import Threshold, chart, thumbnails, told
from pages._parts.gallery import pressable
from pages._parts.inspector import Sample, inspector
from pages._parts.runs import may_change, snapshot
from pages._parts.store import run_store

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.report import Report

SCORES = {"min_eps": "min ε", "margin": "margin", "kl": "KL"}
UNITS = {"min_eps": "/255", "margin": "", "kl": " nats"}
SHOWN = 32  # images of each group, nearest the line first
PICKED = 64  # images of a selection
STROKES = 400  # selected images that are marked in the histogram
COLUMNS = 8


@dataclass(frozen=True)
class Split:
    """What the page is about: an epoch's images, by one score, at one line."""

    run: Run
    shown: Snapshot
    score: str
    line: float
    class_names: tuple[str, ...]
    picked: selection.Selection | None = None  # of this epoch's images

    @property
    def values(self) -> np.ndarray:
        return self.shown.scores[self.score]

    @property
    def fragile(self) -> np.ndarray:
        return self.values <= self.line

    @property
    def of(self) -> str:
        return look.of("synthetic", len(self.values), self.shown.epoch)

    def told(self, value: float) -> str:
        """A score in words."""
        if math.isinf(value):
            return f"> {self.run.spec.split.max_epsilon:g}"
        return f"{value:.1f}" if self.score == "min_eps" else f"{value:.2f}"


def split_view(run: Run, card: TeacherCard | None, report: Report | None) -> bool:
    """The whole page below its header; whether the inspector waits for a computation. Call it in a fragment."""
    if not run_store().snapshots(run.id):
        look.empty("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return False
    left, right = st.columns([2, 3], vertical_alignment="bottom", gap="large")
    with left:
        score = st.segmented_control("Score", list(SCORES), default=run.spec.split.score, required=True,
                                     format_func=SCORES.get, key=f"score {run.id}", help=(
            "min ε: the smallest attack that changes the teacher's label. Margin and KL: at ε = "
            f"{run.spec.split.epsilon:g}/255, how near the label came to changing, and how far the output moved."))
    with right:
        epoch = epoch_slider(run)
    shown = snapshot(run.id, epoch)
    names = card.class_names if card else tuple(map(str, range(shown.teacher_probs.shape[1])))
    real = report if report is not None and report.attacked else None
    picked = selection.selected(run, epoch, len(shown.images))
    split = Split(run, shown, score, line_of(run, shown, score), names, picked)
    selection.elsewhere(run, epoch, slider_key(run))
    left, right = st.columns([3, 1])
    with left, look.card():
        _histogram(split, real)
        _suggestions(split)
        with st.container(horizontal=True, gap="small"):
            _uses(split)
    with right, st.container(key="split-numbers"):
        _numbers(split, real)
    _selected(split)
    waiting = False
    if picked and picked.image is not None:
        own_line = line_of(run, shown, run.spec.split.score)
        waiting = inspector(Sample(run, shown, picked.image, own_line, card), report)
    _groups(split)
    return waiting


def slider_key(run: Run) -> str:
    return f"robustness epoch {run.id}"


def epoch_slider(run: Run) -> int:
    """The epoch whose images are shown: that of the selection at first, else the newest; the newest again when it
    comes, unless the user went back to an earlier one or selected images of this one."""
    epochs = run_store().snapshots(run.id)
    key, seen, picked = slider_key(run), f"robustness newest {run.id}", selection.selected(run)
    chosen = st.session_state.get(key, picked.epoch if picked else epochs[-1])
    follows = chosen >= st.session_state.get(seen, epochs[-1]) and not (picked and picked.epoch == chosen)
    st.session_state[key] = epochs[-1] if chosen not in epochs or follows else chosen
    st.session_state[seen] = epochs[-1]
    if len(epochs) == 1:
        look.caption(f"Epoch {epochs[0]}")
        return epochs[0]
    return st.select_slider("Epoch", epochs, key=key)


# ── the line ────────────────────────────────────────────────────────────────────────────────────────


def line_key(run: Run, score: str) -> str:
    """Where this visit's line is kept; for the run's own score it is the page Distill's too."""
    return f"line {run.id}" if score == run.spec.split.score else f"line {run.id} {score}"


def line_of(run: Run, shown: Snapshot, score: str) -> float:
    """Where the user put the line; else where the run has it; else, for another score, its valley."""
    kept = st.session_state.get(line_key(run, score))
    if kept is not None:
        return kept
    if score == run.spec.split.score:
        return shown.threshold
    return suggestions(run.id, shown.epoch, score, shown.scores[score]).get("valley", 0.0)


def put_line(run: Run, score: str, value: float) -> None:
    st.session_state[line_key(run, score)] = float(value)


@st.cache_data(max_entries=128, show_spinner=False)
def suggestions(run_id: str, epoch: int, score: str, values: np.ndarray) -> dict[str, float]:
    """Name -> threshold, from the synthetic images alone."""
    from atesc_core.robustness.detection import SUGGESTIONS

    if not np.isfinite(values).any():
        return {}
    return {name: rule(values) for name, rule in SUGGESTIONS.items()}


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
    ours = {"id_values": real.id.scores(score), "ood_values": real.ood.scores(score)} if real else {}
    last = snapshot(split.run.id, run_store().snapshots(split.run.id)[-1])  # the same axis at every epoch
    edges = bin_edges(score, [last.scores[score], *ours.values()], spec.max_epsilon)
    suggested = suggestions(split.run.id, split.shown.epoch, score, split.values)
    figure = figures.scores(split.values, split.line, look.mode(), score=score, max_epsilon=spec.max_epsilon,
                            suggestions=suggested, edges=edges, line=False, **ours)
    low, high, step = _span(split, edges)
    put = partial(put_line, split.run, score)
    chart(figure, "scores", height=400, revision=f"{split.run.id} {score}", on_threshold=put, threshold=Threshold(
        split.line, low, high, step, "threshold", UNITS[score], split.values.tolist(),
        left_colour=look.colour("fragile"), right_colour=look.colour("robust")), **_selecting(split, figure, edges))
    _dials(split, low, high, step, put)


def _selecting(split: Split, figure: go.Figure, edges: np.ndarray) -> dict[str, Any]:
    """What makes the histogram take a range of scores for a selection, and show the present one."""
    figure.update_layout(selectdirection="h")
    indices = np.array(split.picked.indices if split.picked else (), int)
    own = told("scores", f"{split.run.id} {split.score}")
    taken = {"select": "box", "on_select": partial(_take, split, edges), "selected": (
        own if len(indices) and np.array_equal(in_bins(split.values, edges, own), indices) else ())}
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


def _dials(split: Split, low: float, high: float, step: float, put: Callable[[float], None]) -> None:
    """The same line as a slider and as a number."""
    digits = max(0, -math.floor(math.log10(step)))
    slider, number = (f"{name} {split.run.id} {split.score}" for name in ("slide", "type"))
    st.session_state[slider] = min(max(round(split.line, digits), low), high)
    st.session_state[number] = round(split.line, digits)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.slider("Threshold", low, high, step=step, key=slider, format=f"%.{digits}f",
                on_change=lambda: put(st.session_state[slider]), label_visibility="collapsed")
    right.number_input("Threshold", step=step, key=number, format=f"%.{digits}f",
                       on_change=lambda: put(st.session_state[number]), label_visibility="collapsed")


def _suggestions(split: Split) -> None:
    """The suggested thresholds, to be taken by a click."""
    from atesc_core.robustness.detection import SUGGESTIONS

    found = suggestions(split.run.id, split.shown.epoch, split.score, split.values)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Suggested", width="content")
        for name, value in found.items():
            rule = (SUGGESTIONS[name].__doc__ or "").splitlines()[0]
            st.button(f"{name} {split.told(value)}", key=f"suggest {name}", help=f"{rule} No real data is used.",
                      on_click=put_line, args=(split.run, split.score, value))
        if split.score == split.run.spec.split.score:
            st.button(f"this run's {split.told(split.shown.threshold)}", key="suggest run", help=(
                f"In force at the end of epoch {split.shown.epoch}"), on_click=put_line,
                args=(split.run, split.score, split.shown.threshold))


def _numbers(split: Split, real: Report | None) -> None:
    images = len(split.values)
    tiles = []
    for role, members in (("fragile", split.fragile), ("robust", ~split.fragile)):
        count = int(members.sum())
        tiles.append(look.tile(role.capitalize(), look.per_cent(100 * count / images), "%", role=role, of=(
            f"{look.count(count)} of {look.count(images)} synthetic · epoch {split.shown.epoch}")))
    if real is not None:
        tiles += _on_real_images(split, real)
    st.html("<style>.st-key-split-numbers .atesc-tiles { grid-template-columns: 1fr }</style>")
    look.tiles(*tiles)
    if real is not None:
        look.caption("Real images are for display only: no student learns from them.")


def _on_real_images(split: Split, real: Report) -> list[look.Html]:
    on_id, on_ood = (side.scores(split.score) > split.line for side in (real.id, real.ood))
    images = f"real test images: {len(on_id)} ID, {len(on_ood)} OOD"
    robust = int(on_id.sum() + on_ood.sum())
    precision = 100 * on_ood.sum() / robust if robust else None
    return [
        look.tile("AUROC", f"{real.auroc(split.score):.3f}", of=images, help=(
            "How often an OOD image scores more robust than an ID image, whatever the threshold")),
        look.tile("Precision", look.per_cent(precision), "%", of=f"of {robust} robust real test images are OOD",
                  help="Of “robust means OOD”, at this threshold"),
        look.tile("Recall", look.per_cent(100 * on_ood.mean()), "%", of=f"of {len(on_ood)} OOD test images are robust",
                  help="Of “robust means OOD”, at this threshold"),
    ]


def _uses(split: Split) -> None:
    """Where the line may go from here."""
    run, own = split.run, split.score == split.run.spec.split.score
    if may_change(run):
        why = ("This run is plain: it splits nothing" if run.spec.escape.kind == "none" else
               f"This run splits by {SCORES[run.spec.split.score]}" if not own else "From its next round on")
        if st.button("Use in this run", type="primary", icon=":material/bolt:", help=why,
                     disabled=not own or run.spec.escape.kind == "none"):
            run_store().set_threshold(run.id, split.line)
            st.toast(f"Threshold {split.told(split.line)} from the next round on", icon=":material/check:")
    changes = {"split.score": split.score, "split.threshold": round(split.line, 6)}
    if run.spec.escape.kind == "none":
        changes["escape.kind"] = "atesc"
    if st.button("Use for the next run", icon=":material/experiment:",
                 help="Opens the form of a new run with these settings and this threshold"):
        st.switch_page("pages/distill.py", query_params={"spec": run.spec.replaced(changes).to_token()})


def _groups(split: Split) -> None:
    """Both groups' images, nearest the line first, and the classes on each side."""
    order = np.argsort(split.values, kind="stable")
    groups = {"fragile": order[split.fragile[order]][::-1], "robust": order[~split.fragile[order]]}
    columns = st.columns(3)
    for (role, members), column in zip(groups.items(), columns, strict=False):
        note = (f"nearest the line first · {min(SHOWN, len(members))} of {look.count(len(members))} · "
                f"epoch {split.shown.epoch}")
        with column, look.card(role.capitalize(), note, height="stretch"):
            if not len(members):
                look.caption("No image on this side of the line.")
                continue
            near = members[:SHOWN]
            _wall(split, near, role)
    with columns[2], look.card("Teacher's classes on each side", split.of, height="stretch"):
        figure = figures.class_sides(split.shown.teacher_probs.argmax(1), split.fragile, look.mode(),
                                     class_names=split.class_names)
        low, high = figure.layout.xaxis.range
        figure.update_xaxes(range=[low - 0.1 * (high - low), high])  # a narrow card needs more room for the numbers
        chart(figure, "sides", height=360)


def _selected(split: Split) -> None:
    """The images of the selection, wherever it was made."""
    indices = np.array(split.picked.indices if split.picked else (), int)
    if not len(indices):
        look.caption("Drag across the bars to select their images; press an image to look at it closely.")
        return
    with look.card("Selected", look.of("synthetic", len(indices), split.shown.epoch)):
        ordered = indices[np.argsort(split.values[indices], kind="stable")]
        _wall(split, ordered[:PICKED], "selected", columns=2 * COLUMNS)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link("pages/embedding.py", label="See them on the map", icon=":material/scatter_plot:",
                         query_params=st.query_params.to_dict())
            st.button("Clear", icon=":material/close:", key="clear selection", on_click=selection.clear,
                      args=(split.run,))
            if len(indices) > PICKED:
                st.caption(f"and {look.count(len(indices) - PICKED)} more", width="content")


def _wall(split: Split, members: np.ndarray, name: str, columns: int = COLUMNS) -> None:
    """Images to be pressed, outlined by group."""
    pressable(split.shown.images[members], members, f"wall {name}",
              partial(selection.inspect, split.run, split.shown.epoch), columns=columns,
              roles=["fragile" if split.fragile[index] else "robust" for index in members],
              titles=_titles(split, members), words=[split.told(split.values[index]) for index in members],
              chosen=split.picked.image if split.picked else None)


def _titles(split: Split, members: np.ndarray) -> list[str]:
    """What a pointer sees over each image."""
    probabilities = split.shown.teacher_probs[members]
    return [f"{split.class_names[row.argmax()]} · {100 * row.max():.1f} % sure · {SCORES[split.score]} "
            f"{split.told(split.values[index])}{UNITS[split.score]}"
            for index, row in zip(members, probabilities, strict=True)]
