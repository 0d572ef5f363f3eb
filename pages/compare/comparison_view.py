"""The comparison of the chosen runs: curves, results at the last epoch, the differences between two specs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase

import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.errors import StoreError
from atesc_core.figures import comparison, run_data
from atesc_core.figures.comparison import MeasuredRun, SeedGroup, ThresholdChange
from atesc_core.figures.export import table
from atesc_core.figures.losses import GENERATOR_TERMS, STUDENT_TERMS
from atesc_core.figures.overlay import BANDS, Band, SpecCurve, overlay, panel_rows
from atesc_core.runs import ClassRecalls, DistillationRun
from atesc_core.runs.run import build_text
from atesc_core.vocabulary import COST_NAMES, METRIC_BETTER, METRIC_NAMES, METRIC_ROLES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, poll

COLOURS = ("measure", "setting")
QUANTITIES = {"accuracy": "Accuracy", "student": "Student loss", "generator": "Generator loss"}
PANEL_PX, LEGEND_PX = 330, 26  # height of a row of panels, and of a line of the legend
TRAP_NOTE = (
    "Trap: against the plain student of the pair's SL teacher, where it is among these runs. Trapped: at least half of "
    "the OOD images that the control does not give the trap label get it. Over-forgetting: not trapped, but the recall "
    "of the trap label's own class is less than half of the control's. No control: that student is not among these "
    "runs; tick it, as over-forgetting may go unseen without it."
)
RECALL_PX, AXIS_PX = 34, 76  # height of a row of recalls, and of their axis


@dataclass(frozen=True)
class Comparison:
    """The compared runs in their current state.

    Attributes:
        groups: The runs grouped by spec, the oldest first.
        waiting: Number of runs without a finished epoch.
        in_progress: Whether any run may still change.
    """

    groups: list[SeedGroup]
    waiting: int
    in_progress: bool


@dataclass(frozen=True)
class Display:
    """How the curves are shown."""

    quantity: str  # a key of QUANTITIES
    band: Band
    smoothing: float
    log: bool
    colour: str  # one of COLOURS


def compare(run_ids: Sequence[str]) -> None:
    """Draw curves and results, updated while a run trains, and the differences between two of the specs."""
    current = _read_comparison(run_ids)
    with elements.card("Curves"):
        with elements.hidden_when_presenting("ways"):
            display = _display_controls()
        poll(lambda: _curves(run_ids, len(current.groups), display), current.in_progress, every_s=2)
    with elements.card("Last epoch", "Test images, per cent; never smoothed"):
        poll(lambda: _results(run_ids), current.in_progress, every_s=2)
    _builds([measured.run for group in current.groups for measured in group.runs])
    with elements.card("Recall by class", "Per cent of ID test images at the last epoch, mean over seeds"):
        poll(lambda: _recalls(run_ids), current.in_progress, every_s=2)
    if len(current.groups) > 1:
        with elements.card("What differs", "The settings in which two specs are not alike, the seed aside"):
            _differences(current.groups)


def letters(count: int) -> list[str]:
    """A, B, ... Z, A2, B2, ...: the letter of each spec in curves, results and differences."""
    return [ascii_uppercase[index % 26] + (str(index // 26 + 1) if index >= 26 else "") for index in range(count)]


def _builds(runs: Sequence[DistillationRun]) -> None:
    """Say so if the runs were not all computed with the same build of PyTorch and the same instructions."""
    counts = Counter(build_text(run.build) for run in runs if run.build)
    if len(counts) > 1:
        computed = "; ".join(f"{text} ({count} of {len(runs)} runs)" for text, count in counts.items())
        elements.notice(
            "info",
            f"Not all computed alike: {computed}. The last digits of a run depend on this, and with them its course.",
            icon=":material/memory:",
        )


# ── data ────────────────────────────────────────────────────────────────────────────────────────────


def _read_comparison(run_ids: Sequence[str]) -> Comparison:
    store = run_store()
    runs = [run for run in store.distillations(include_forks=True) if run.id in set(run_ids)]
    revisions, measured = store.revisions(), []
    for run in sorted(runs, key=lambda run: run.created):
        try:
            measured.append(MeasuredRun(run, *_logged(str(store.runs_dir), run.id, revisions.get(run.id))))
        except StoreError:  # the run has been deleted meanwhile
            continue
    waiting = sum(not run.last_epoch for run in measured)
    return Comparison(comparison.group_by_seed(measured), waiting, any(map(is_live, runs)))


@lru_cache(maxsize=1024)
def _logged(runs_dir: str, run_id: str, revision: object) -> tuple[pd.DataFrame, tuple[ThresholdChange, ...], bool]:
    """The last three fields of `MeasuredRun`. ``revision``: part of the cache key, from the store."""
    return comparison.read_log(run_store(), run_id)


def _losses(group: SeedGroup) -> pd.DataFrame:
    """A row per seed and epoch: seed, epoch, and the mean losses of the epoch."""
    frames = [
        _run_losses(str(run_store().runs_dir), measured.run.id, group.last_epoch, measured.epochs["time"].max()).assign(
            seed=measured.run.spec.seed
        )
        for measured in group.runs
    ]
    return pd.concat(frames, ignore_index=True)


@st.cache_data(max_entries=256, show_spinner="Reading the losses …")
def _run_losses(runs_dir: str, run_id: str, last_epoch: int, ended: float) -> pd.DataFrame:
    """Mean losses of each epoch. ``ended``: end of the last epoch; it changes when a resumed run writes it again."""
    return comparison.epoch_means(run_store().rounds(run_id), last_epoch)


# ── curves ──────────────────────────────────────────────────────────────────────────────────────────


def _display_controls() -> Display:
    # A parameter without a value, as in `?show=`, makes a control None, also one that must have a value.
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        quantity = (
            st.segmented_control(
                "Show",
                list(QUANTITIES),
                default="accuracy",
                required=True,
                key="show",
                bind="query-params",
                format_func=QUANTITIES.__getitem__,
            )
            or "accuracy"
        )
        band = (
            st.segmented_control(
                "Band over seeds",
                list(BANDS),
                default="sd",
                required=True,
                key="band",
                bind="query-params",
                format_func=BANDS.__getitem__,
            )
            or "sd"
        )
        colour = (
            st.segmented_control(
                "Colour of the",
                COLOURS,
                default=COLOURS[0],
                required=True,
                key="colour",
                bind="query-params",
                help="measure: ID and OOD as on every page. setting: a colour for each line of the legend.",
            )
            or COLOURS[0]
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.95,
            0.0,
            0.05,
            key="smoothing",
            bind="query-params",
            width=220,
            help=(
                "Share of the past in each point: a moving average over epochs, of each seed by itself. "
                "The unsmoothed mean stays behind, faint."
            ),
        )
        log = st.toggle(
            "Log axis",
            key="log",
            bind="query-params",
            disabled=quantity == "accuracy",
            help="For losses; values that are not above 0 have no place on it.",
        )
    return Display(quantity, band, smoothing, log, colour)


def _curves(run_ids: Sequence[str], specs: int, display: Display) -> bool:
    """Draw the curves; return whether they may still change. ``specs``: number of specs when the page was drawn."""
    current = _read_comparison(run_ids)
    groups = current.groups
    if len(groups) != specs:  # the first epoch of a spec ended: letters change on the whole page
        st.rerun()
    values = [group.epochs if display.quantity == "accuracy" else _losses(group) for group in groups]
    quantities = _available_quantities(display.quantity, values)
    if not quantities:
        elements.caption("These runs have no such loss.")
        return current.in_progress
    by_setting = display.colour == "setting"
    curves = [
        _curve(letter, name, group, group_values, quantities, display.smoothing, number if by_setting else None)
        for number, (letter, name, group, group_values) in enumerate(
            zip(letters(len(groups)), comparison.group_labels(groups), groups, values, strict=True)
        )
    ]
    figure = overlay(
        curves,
        quantities,
        appearance.mode(),
        band=display.band,
        log=display.log,
        epochs=max(group.spec.epochs for group in groups),
    )
    # The names in the legend are long: one per line, below the panels instead of above.
    rows = panel_rows(len(quantities))
    figure.update_layout(legend={"orientation": "v", "y": -0.17 if rows == 1 else -0.1, "yanchor": "top", "x": 0})
    # No names in the revision: they change with each epoch, and a new revision resets the user's zoom.
    chart(
        figure,
        "compare",
        height=PANEL_PX * rows + LEGEND_PX * len(curves) + 24,
        revision=f"{display.quantity} {display.log} {' '.join(quantities)}",
        label=f"{QUANTITIES[display.quantity]} by epoch, {len(curves)} specs",
    )
    with st.container(gap="xxsmall"):
        for remark in _remarks(current, display.log and display.quantity != "accuracy", curves):
            elements.caption(remark)
    return current.in_progress


def _available_quantities(kind: str, values: Sequence[pd.DataFrame]) -> list[str]:
    """The metrics or losses that at least one of the runs has, in a fixed order."""
    ordered = {"accuracy": list(METRIC_NAMES), "student": list(STUDENT_TERMS), "generator": list(GENERATOR_TERMS)}[kind]
    return [name for name in ordered if any(name in frame and frame[name].notna().any() for frame in values)]


def _curve(
    letter: str,
    name: str,
    group: SeedGroup,
    values: pd.DataFrame,
    quantities: Sequence[str],
    smoothing: float,
    number: int | None,
) -> SpecCurve:
    card = cards().get(group.spec.teacher)
    present = [quantity for quantity in quantities if quantity in values]
    plain = {quantity: comparison.summary(values, quantity) for quantity in present}
    smoothed = (
        {quantity: comparison.summary(values, quantity, smoothing) for quantity in present} if smoothing else None
    )
    return SpecCurve(
        letter,
        name,
        smoothed or plain,
        len(group.seeds),
        card.kind if card else "NTL",
        group.spec.escape.kind,
        plain if smoothed else None,
        number,
    )


def _remarks(current: Comparison, log: bool, curves: Sequence[SpecCurve]) -> list[str]:
    """Notes for the reader of the curves, one sentence each."""
    groups, group_letters = current.groups, letters(len(current.groups))
    single = [letter for letter, group in zip(group_letters, groups, strict=True) if len(group.seeds) == 1]
    remarks = [f"{letter}: {note}" for letter, group in zip(group_letters, groups, strict=True) for note in group.notes]
    if current.waiting:
        remarks.append(f"{current.waiting} of these runs {'has' if current.waiting == 1 else 'have'} no epoch yet.")
    if single:
        remarks.append(f"{', '.join(single)}: one seed, so no band; what one seed shows may be chance.")
    settings = sorted({group.setting for group in groups if group.setting})
    if len(settings) > 1:
        remarks.append(
            f"Several settings ({', '.join(settings)}): what they report on OOD has a panel of its own each, "
            "and none is averaged with another."
        )
    hidden = sum(int((points["mean"] <= 0).sum()) for curve in curves for points in curve.points.values())
    if log and hidden:
        remarks.append(f"{formats.count(hidden)} points are not above 0 and have no place on a logarithmic axis.")
    return remarks


# ── results ─────────────────────────────────────────────────────────────────────────────────────────


def _results(run_ids: Sequence[str]) -> bool:
    """Draw the table and its download buttons; return whether it may still change."""
    current = _read_comparison(run_ids)
    if not current.groups:  # all runs have been deleted meanwhile
        return current.in_progress
    exact = comparison.results(current.groups)
    exact.insert(0, "letter", letters(len(exact)))
    recalls = {run_id: recall for group in current.groups for run_id, recall in _class_recalls(group).items()}
    exact["trap"] = [comparison.trap_text(group, current.groups, cards(), recalls) for group in current.groups]
    formatted = _results_table(exact)
    tex = table.latex(
        formatted.drop(columns=""), caption=_caption(exact), label="tab:comparison", comment=_latex_comment(exact)
    )
    place = st.container()  # filled last: a press on a button gives the table that is shown, never an older one
    roles = {f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]} (%)": role for metric, role in METRIC_ROLES.items()}
    numbers = [name for name in map(str, formatted.columns) if "(%)" in name or name in ("Seeds", "Epoch")]
    with elements.hidden_when_presenting("table", horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "LaTeX",
            lambda: tex,
            "comparison.tex",
            "text/x-tex",
            icon=":material/download:",
            on_click="ignore",
            key="comparison latex",
            help="A booktabs table; its comments name the runs",
        )
        st.download_button(
            "CSV",
            lambda: table.csv(exact),
            "comparison.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="comparison csv",
            help="Full precision, mean and sd apart, run ids",
        )
        with st.popover("Copy LaTeX", icon=":material/content_copy:"):
            st.code(tex, language="latex")
    with place:
        elements.table(formatted, numbers, roles)
        if "Trap" in formatted:
            elements.caption(TRAP_NOTE)
    return current.in_progress


def _results_table(exact: pd.DataFrame) -> pd.DataFrame:
    """The results as text: ``68.1 ± 1.3``. The specs' labels name the teacher if there are several."""
    columns = {"": exact["letter"], "Spec": exact["spec"]}
    if exact["setting"].nunique() > 1:
        columns["Setting"] = exact["setting"].replace("", "–")
    columns["Seeds"] = exact["seeds"]
    columns["Epoch"] = pd.Series(
        [
            str(epoch) if epoch == epochs else f"{epoch} of {epochs}"
            for epoch, epochs in zip(exact["epoch"], exact["epochs"], strict=True)
        ]
    )
    for metric in (name for name in METRIC_NAMES if name in exact):
        columns[f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]} (%)"] = pd.Series(
            [table.plus_minus(mean, sd) for mean, sd in zip(exact[metric], exact[f"{metric}_sd"], strict=True)]
        )
    for cost in (name for name in COST_NAMES if name in exact):
        columns[f"{formats.capitalised(COST_NAMES[cost])} (%)"] = pd.Series(
            [table.plus_minus(mean, sd) for mean, sd in zip(exact[cost], exact[f"{cost}_sd"], strict=True)]
        )
    if "trap_recall" in exact:
        columns["Trap"] = exact["trap"].replace("", "–")
    return pd.DataFrame(columns)


def _class_recalls(group: SeedGroup) -> dict[str, ClassRecalls | None]:
    """Run id -> the recall of each class at the group's last epoch, None if it was not measured; seed by seed."""
    return {each.run.id: run_store().recalls(each.run.id, group.last_epoch) for each in group.runs}


def _caption(exact: pd.DataFrame) -> str:
    teachers = ", ".join(dict.fromkeys(exact["teacher"]))
    spread = "mean ± standard deviation over seeds" if exact["seeds"].max() > 1 else "one seed each"
    if exact["seeds"].max() > 1 and exact["seeds"].min() == 1:
        spread += "; one seed where none is given"
    return f"Last epoch on test images, {spread}. Teacher: {teachers}."


def _latex_comment(exact: pd.DataFrame) -> str:
    """The runs of each row."""
    return "\n".join(f"{spec}: runs {runs}" for spec, runs in zip(exact["spec"], exact["runs"], strict=True))


def _recalls(run_ids: Sequence[str]) -> bool:
    """Draw the recall of each class, a figure for each list of classes; return whether it may still change."""
    current = _read_comparison(run_ids)
    by_classes: dict[tuple[str, ...], list[figures.RecallRow]] = {}
    for letter, name, group in zip(
        letters(len(current.groups)), comparison.group_labels(current.groups), current.groups, strict=True
    ):
        card = cards().get(group.spec.teacher)
        measured = list(_class_recalls(group).values())
        if row := run_data.recall_row(letter, measured, f"{letter} · {name}"):
            classes = card.class_names if card else tuple(map(str, range(len(row.recalls))))
            by_classes.setdefault(classes, []).append(row)
    for number, (classes, rows) in enumerate(by_classes.items()):
        chart(
            figures.recalls(rows, appearance.mode(), classes=classes),
            f"recalls {number}",
            height=RECALL_PX * len(rows) + AXIS_PX,
            label=f"Recall of each class, {len(rows)} specs",
        )
    if not by_classes:
        elements.caption("Not measured yet.")
    return current.in_progress


# ── differences between two specs ───────────────────────────────────────────────────────────────────


def _differences(groups: Sequence[SeedGroup]) -> None:
    options = letters(len(groups))
    by_letter = dict(zip(options, groups, strict=True))
    names = dict(zip(options, comparison.group_labels(groups), strict=True))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        # The options are only letters, because names change with the set of specs, and the link holds the option.
        first = st.selectbox("One", options, key="one", bind="query-params", width=110)
        second = st.selectbox("The other", options, 1, key="other", bind="query-params", width=110)
    differences = comparison.spec_difference(by_letter[first].spec, by_letter[second].spec)
    if differences.empty:
        same = first == second
        elements.caption("Choose two." if same else "The same settings: what tells them apart is in their names.")
        return
    differences["published"] = differences["published"].replace("", "–")
    heads = ["Field", f"{first} · {names[first]}", f"{second} · {names[second]}", "What it is", "Published"]
    elements.table(differences.set_axis(heads, axis=1))
