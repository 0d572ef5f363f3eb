"""Which runs are compared, and the comparison: curves, results, the difference of two specs.

All of it is in the URL: the filters (?only.FIELD=VALUE), the ticked runs (?runs=ID,ID), and how they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase

import pandas as pd
import streamlit as st

from atesc_core.errors import StoreError
from atesc_core.figures import comparison, theme
from atesc_core.figures.comparison import MeasuredRun, SeedGroup
from atesc_core.figures.export import table
from atesc_core.figures.losses import GENERATOR_TERMS, STUDENT_TERMS
from atesc_core.figures.overlay import BANDS, SpecCurve, overlay, panel_rows
from atesc_core.runs import DistillationRun
from atesc_core.vocabulary import METRIC_BETTER, METRIC_NAMES, METRIC_ROLES, METRIC_SETTING, SETTING_NAMES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_labels import method_name, time_ago

AT_ONCE = 8  # specs that are compared where no run is ticked
STATUSES = ["queued", "running", "paused", "done", "stopped", "interrupted", "failed"]
FILTERS = {
    "teacher": "Teacher",
    "setting": "Setting",
    "synthesis.kind": "Method",
    "escape.kind": "Escape",
    "preset": "Preset",
    "seed": "Seed",
    "status": "Status",
    "group": "Group",
}
IN_SIGHT = 4  # of the filters; the others are a click away
SHOWN = {"accuracy": "Accuracy", "student": "Student loss", "generator": "Generator loss"}
PANEL_PX, LEGEND_PX = 330, 26  # height of a row of panels, and of an entry of the legend


# ── which runs ──────────────────────────────────────────────────────────────────────────────────────


def pick() -> list[str]:
    """Filters, and the list to tick. Ids of the runs that are compared; where none, the page now says what to do."""
    named = _named()
    runs = [
        run for run in run_store().distillations(include_forks=True) if not run.fork or run.id in named
    ]  # tries are many and short
    if not runs:
        _nothing("No runs yet", "Distil two students of one teacher, say plain and with ATEsc, and come back here.")
        return []
    with (
        elements.hidden_when_presenting("runs"),
        elements.card("Runs", f"Tick any; without a tick, the newest {AT_ONCE} specs of the list are compared"),
    ):
        listed = _filtered(runs)
        ticked = _ticks(runs, listed) if listed else set()
    if not listed:
        elements.empty_state("No run passes these filters", "Take one of the filters above away.")
        return []
    chosen = [run for run in listed if run.id in ticked] or newest(listed)
    if not any(run.metrics for run in chosen):
        _nothing("Nothing measured yet", "A run can be compared from the end of its first epoch.")
        return []
    return [run.id for run in chosen]


def _named() -> set[str]:
    """Ids of the runs that the link names."""
    return set(filter(None, st.query_params.get("runs", "").split(",")))


def newest(runs: Sequence[DistillationRun]) -> list[DistillationRun]:
    """The measured runs of the first AT_ONCE specs, and those of the same specs that are still to be measured."""
    specs = list(dict.fromkeys(comparison.without_seed(run.spec) for run in runs if run.metrics))[:AT_ONCE]
    return [run for run in runs if comparison.without_seed(run.spec) in specs]


def _nothing(title: str, next_step: str) -> None:
    with elements.empty_state(title, next_step), st.container(horizontal=True, horizontal_alignment="center"):
        st.page_link("pages/distill/page.py", label="Distil a student", icon=":material/experiment:")
        st.page_link("pages/start/page.py", label="Run the story", icon=":material/home:")


def setting_of(run: DistillationRun) -> str:
    """close-set, open-set or backdoor, by what is reported on OOD; a dash where nobody can tell."""
    card = cards().get(run.spec.teacher)
    there = run.metrics or (card.metrics if card else {})
    return next((SETTING_NAMES[setting] for metric, setting in METRIC_SETTING.items() if metric in there), "–")


def _filtered(runs: Sequence[DistillationRun]) -> list[DistillationRun]:
    """The runs that pass every filter. There is one for each field, of the spec or the run, that tells runs apart."""
    told = _told(runs)
    offered = [path for path, values in told.items() if len(set(values)) > 1]
    *places, more = st.columns([*[3] * min(len(offered), IN_SIGHT), 2], vertical_alignment="bottom")
    passing = [True] * len(runs)
    with more.popover("More", icon=":material/filter_list:", width="stretch", disabled=not offered[IN_SIGHT:]):
        places += [st.container() for _ in offered[IN_SIGHT:]]
    for path, place in zip(offered, places, strict=True):
        options = STATUSES if path == "status" else sorted(set(told[path]), key=_in_order)
        wanted = place.multiselect(
            FILTERS.get(path, path), options, key=f"only.{path}", bind="query-params", placeholder="any"
        )
        passing = [was and (not wanted or own in wanted) for was, own in zip(passing, told[path], strict=True)]
    return [run for run, passes in zip(runs, passing, strict=True) if passes]


def _told(runs: Sequence[DistillationRun]) -> dict[str, list[str]]:
    """Field -> what each run has there, as it is written; first the fields that most are filtered by."""
    of_run: dict[str, Callable[[DistillationRun], str]] = {
        "setting": setting_of,
        "status": lambda run: run.status,
        "group": lambda run: run.group or "–",
    }
    specs = [comparison.spec_fields(run.spec) for run in runs]
    paths = [*FILTERS, *(path for path in comparison.varying_fields([run.spec for run in runs]) if path not in FILTERS)]
    return {
        path: [
            of_run[path](run) if path in of_run else comparison.value_text(spec.get(path))
            for run, spec in zip(runs, specs, strict=True)
        ]
        for path in paths
    }


def _in_order(value: str) -> tuple[bool, float, str]:
    """Numbers by their size, then words."""
    try:
        return False, float(value), ""
    except ValueError:
        return True, 0.0, value


def _ticks(runs: Sequence[DistillationRun], listed: Sequence[DistillationRun]) -> set[str]:
    """The list, a box to tick at each run; ids of all that are ticked, in this list or not."""
    named, known = _named(), {run.id for run in runs}
    if unknown := len(named - known):
        st.warning(
            f"Not here: {unknown} of the {len(named)} runs that the link names. They may have been deleted, or "
            "the link comes from another lab.",
            icon=":material/link_off:",
        )
    ids = [run.id for run in listed]
    key = theme.trace_id("ticks", *ids)  # another list is another widget: a tick is kept by its row's number
    there = [row for row, own in enumerate(ids) if own in named]

    def remember() -> None:
        ticked = [ids[row] for row in st.session_state[key]["selection"]["rows"]]
        kept = [own for own in sorted(named & known) if own not in ids] + ticked
        if kept:
            st.query_params["runs"] = ",".join(kept)
        else:
            st.query_params.pop("runs", None)

    st.dataframe(
        _listing(listed),
        key=key,
        on_select=remember,
        selection_mode="multi-row",
        hide_index=True,
        selection_default={"selection": {"rows": there}},
        height=min(280, 38 + 35 * len(listed)),
        row_height=35,
        alt=f"{len(listed)} runs to tick",
        column_config={"IAcc": _accuracy, "On OOD": _accuracy},
    )
    return named & known


_accuracy = st.column_config.NumberColumn(format="%.1f %%")


def _listing(listed: Sequence[DistillationRun]) -> pd.DataFrame:
    """A row a run, as it stands."""
    return pd.DataFrame(
        [
            {
                "Teacher": run.spec.teacher,
                "Method": method_name(run.spec),
                "Seed": run.spec.seed,
                "Status": run.status,
                "Epoch": f"{run.epoch} of {run.epochs}",
                "Setting": setting_of(run),
                "IAcc": run.metrics.get("iacc"),
                "On OOD": next((run.metrics[name] for name in METRIC_SETTING if name in run.metrics), None),
                "Group": run.label or run.group or "",
                "When": time_ago(run.created),
                "Run": run.id,
            }
            for run in listed
        ]
    )


# ── the comparison ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Now:
    """What is compared, as it stands: the runs by spec, the oldest first; how many have no epoch yet; whether any
    may still change."""

    groups: list[SeedGroup]
    waiting: int
    going: bool


def compare(chosen: Sequence[str]) -> None:
    """Curves and results, which move while a run does; then the difference of two of the specs."""
    now = _now(chosen)
    with elements.card("Curves"):
        with elements.hidden_when_presenting("ways"):
            shown, band, smoothing, log = _ways()
        poll(lambda: _curves(chosen, len(now.groups), shown, band, smoothing, log), now.going, every_s=2)
    with elements.card("Last epoch", "Test images, per cent; never smoothed"):
        poll(lambda: _results(chosen), now.going, every_s=2)
    if len(now.groups) > 1:
        with elements.card("What differs", "The settings in which two specs are not alike, the seed aside"):
            _difference(now.groups)


def _now(chosen: Sequence[str]) -> Now:
    store, wanted = run_store(), set(chosen)
    runs = sorted(
        (run for run in store.distillations(include_forks=True) if run.id in wanted), key=lambda run: run.created
    )
    marks, measured = store.marks(), []
    for run in runs:
        try:
            measured.append(MeasuredRun(run, *_logged(str(store.runs_dir), run.id, marks.get(run.id))))
        except StoreError:  # deleted meanwhile
            continue
    waiting = sum(not each.last for each in measured)
    return Now(comparison.group_by_seed(measured), waiting, any(map(is_live, runs)))


@lru_cache(maxsize=1024)
def _logged(runs_dir: str, run_id: str, mark: object) -> tuple[pd.DataFrame, tuple[tuple[int, int, float], ...]]:
    """The run's epochs, and (epoch, round, threshold) where the line was moved by hand; read anew for a new mark."""
    history = run_store().history(run_id)
    by_hand = history[(history["kind"] == "threshold") & (history["text"] == "hand")]
    moved = tuple(by_hand[["epoch", "round", "value"]].itertuples(index=False, name=None))
    return run_store().epochs(run_id), moved


def _ways() -> tuple[str, str, float, bool]:
    """What is drawn, as which band, how smooth, and on which axis."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        shown = st.segmented_control(
            "Show",
            list(SHOWN),
            default="accuracy",
            required=True,
            key="show",
            bind="query-params",
            format_func=SHOWN.get,
        )
        band = st.segmented_control(
            "Band over seeds",
            list(BANDS),
            default="sd",
            required=True,
            key="band",
            bind="query-params",
            format_func=BANDS.get,
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
            disabled=shown == "accuracy",
            help="For losses; values that are not above 0 have no place on it.",
        )
    return shown, band, smoothing, log


def _curves(chosen: Sequence[str], specs: int, shown: str, band: str, smoothing: float, log: bool) -> bool:
    """specs: how many the page knows of."""
    now = _now(chosen)
    groups = now.groups
    if len(groups) != specs:  # a spec's first epoch is over: letters move on the whole page
        st.rerun()
    values = [group.epochs if shown == "accuracy" else _losses(group) for group in groups]
    quantities = _quantities(shown, values)
    if not quantities:
        elements.caption("These runs have no such loss.")
        return now.going
    lines = [
        _line(letter, name, group, own, quantities, smoothing)
        for letter, name, group, own in zip(
            letters(len(groups)), comparison.group_labels(groups), groups, values, strict=True
        )
    ]
    figure = overlay(
        lines, quantities, appearance.mode(), band=band, log=log, epochs=max(g.spec.epochs for g in groups)
    )
    # The legend holds long names: an entry a line, below the panels instead of above them.
    down = panel_rows(len(quantities))
    figure.update_layout(legend={"orientation": "v", "y": -0.17 if down == 1 else -0.1, "yanchor": "top", "x": 0})
    height = PANEL_PX * down + LEGEND_PX * len(lines) + 24
    # Not what the lines say: they say more with each epoch, and the user's zoom would be gone with it.
    chart(
        figure,
        "compare",
        height=height,
        revision=f"{shown} {log} {' '.join(quantities)}",
        label=f"{SHOWN[shown]} by epoch, {len(lines)} specs",
    )
    with st.container(gap="xxsmall"):
        for words in _remarks(now, log and shown != "accuracy", lines):
            elements.caption(words)
    return now.going


def _quantities(shown: str, values: Sequence[pd.DataFrame]) -> list[str]:
    """The metrics or losses that any of the runs has, in their usual order."""
    usual = {"accuracy": METRIC_NAMES, "student": STUDENT_TERMS, "generator": GENERATOR_TERMS}[shown]
    return [name for name in usual if any(name in own and own[name].notna().any() for own in values)]


def _line(
    letter: str, name: str, group: SeedGroup, values: pd.DataFrame, quantities: Sequence[str], smoothing: float
) -> SpecCurve:
    card = cards().get(group.spec.teacher)
    own = [quantity for quantity in quantities if quantity in values]
    rough = {quantity: comparison.summary(values, quantity) for quantity in own}
    smooth = {quantity: comparison.summary(values, quantity, smoothing) for quantity in own} if smoothing else None
    return SpecCurve(
        letter,
        name,
        smooth or rough,
        len(group.seeds),
        card.kind if card else "NTL",
        group.spec.escape.kind,
        rough if smooth else None,
    )


def _losses(group: SeedGroup) -> pd.DataFrame:
    """Columns seed, epoch, and the losses as means of their epoch."""
    frames = [
        _run_losses(str(run_store().runs_dir), each.run.id, group.last, each.epochs["time"].max()).assign(
            seed=each.run.spec.seed
        )
        for each in group.measured
    ]
    return pd.concat(frames, ignore_index=True)


@st.cache_data(max_entries=256, show_spinner="Reading the losses …")
def _run_losses(runs_dir: str, run_id: str, last: int, written: float) -> pd.DataFrame:
    """Read once for each epoch that is over; written: when that was, for a resumed run writes its epochs anew."""
    return comparison.epoch_means(run_store().steps(run_id), last)


def _remarks(now: Now, log: bool, lines: Sequence[SpecCurve]) -> list[str]:
    """What a reader of the curves must know, a sentence each."""
    groups, signs = now.groups, letters(len(now.groups))
    single = [sign for sign, group in zip(signs, groups, strict=True) if len(group.seeds) == 1]
    words = [f"{sign}: {note}" for sign, group in zip(signs, groups, strict=True) for note in group.notes]
    if now.waiting:
        words.append(f"{now.waiting} of these runs {'has' if now.waiting == 1 else 'have'} no epoch yet.")
    if single:
        words.append(f"{', '.join(single)}: one seed, so no band; what one seed shows may be chance.")
    settings = sorted({group.setting for group in groups if group.setting})
    if len(settings) > 1:
        words.append(
            f"Several settings ({', '.join(settings)}): what they report on OOD has a panel of its own each, "
            "and none is averaged with another."
        )
    hidden = sum(int((points["mean"] <= 0).sum()) for line in lines for points in line.points.values()) if log else 0
    if hidden:
        words.append(f"{formats.count(hidden)} points are not above 0 and have no place on a logarithmic axis.")
    return words


def letters(many: int) -> list[str]:
    """A, B, ... Z, A2, B2, ...: the sign of each spec in curves, results and difference."""
    return [ascii_uppercase[at % 26] + (str(at // 26 + 1) if at >= 26 else "") for at in range(many)]


# ── results ─────────────────────────────────────────────────────────────────────────────────────────


def _results(chosen: Sequence[str]) -> bool:
    now = _now(chosen)
    if not now.groups:  # deleted meanwhile
        return now.going
    exact = comparison.results(now.groups)
    exact.insert(0, "sign", letters(len(exact)))
    written = _written(exact)
    roles = {f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]} (%)": role for metric, role in METRIC_ROLES.items()}
    elements.table(written, [name for name in written if "(%)" in name or name in ("Seeds", "Epoch")], roles)
    tex = table.latex(written.drop(columns=""), caption=_caption(exact), label="tab:comparison", comment=_origin(exact))
    with elements.hidden_when_presenting("table", horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "LaTeX",
            tex,
            "comparison.tex",
            "text/x-tex",
            icon=":material/download:",
            on_click="ignore",
            key="comparison latex",
            help="A booktabs table; its comments name the runs",
        )
        st.download_button(
            "CSV",
            table.csv(exact),
            "comparison.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="comparison csv",
            help="Full precision, mean and sd apart, run ids",
        )
        with st.popover("Copy LaTeX", icon=":material/content_copy:"):
            st.code(tex, language="latex")
    return now.going


def _written(exact: pd.DataFrame) -> pd.DataFrame:
    """The results as they are read: `68.1 ± 1.3`. A teacher is in the spec's name where there are several."""
    columns = {"": exact["sign"], "Spec": exact["spec"]}
    if exact["setting"].nunique() > 1:
        columns["Setting"] = exact["setting"].replace("", "–")
    columns["Seeds"] = exact["seeds"]
    columns["Epoch"] = [
        str(at) if at == of else f"{at} of {of}" for at, of in zip(exact["epoch"], exact["epochs"], strict=True)
    ]
    for metric in (name for name in METRIC_NAMES if name in exact):
        columns[f"{METRIC_NAMES[metric]} {METRIC_BETTER[metric]} (%)"] = [
            table.plus_minus(mean, sd) for mean, sd in zip(exact[metric], exact[f"{metric}_sd"], strict=True)
        ]
    return pd.DataFrame(columns)


def _caption(exact: pd.DataFrame) -> str:
    teachers = ", ".join(dict.fromkeys(exact["teacher"]))
    spread = "mean ± standard deviation over seeds" if exact["seeds"].max() > 1 else "one seed each"
    if exact["seeds"].max() > 1 and exact["seeds"].min() == 1:
        spread += "; one seed where none is given"
    return f"Last epoch on test images, {spread}. Teacher: {teachers}."


def _origin(exact: pd.DataFrame) -> str:
    """Which runs the rows are of, for the comments of the LaTeX."""
    return "\n".join(f"{row.spec}: runs {row.runs}" for row in exact.itertuples())


# ── the difference of two specs ─────────────────────────────────────────────────────────────────────


def _difference(groups: Sequence[SeedGroup]) -> None:
    signs = letters(len(groups))
    known = dict(zip(signs, groups, strict=True))
    names = dict(zip(signs, comparison.group_labels(groups), strict=True))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        # An option is its letter alone: that is what the link keeps, and names change when a spec joins.
        one = st.selectbox("One", signs, key="one", bind="query-params", width=110)
        other = st.selectbox("The other", signs, 1, key="other", bind="query-params", width=110)
    differing = comparison.spec_difference(known[one].spec, known[other].spec)
    if differing.empty:
        same = one == other
        elements.caption("Choose two." if same else "The same settings: what tells them apart is in their names.")
        return
    differing["source"] = differing["source"].fillna("–")
    heads = ["Field", f"{one} · {names[one]}", f"{other} · {names[other]}", "What it is", "Default from"]
    elements.table(differing.set_axis(heads, axis=1))
