"""The choice of the runs to compare: filters (``?only.FIELD=VALUE``) and a list with boxes (``?runs=ID,ID``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from atesc_core.figures import comparison, theme
from atesc_core.runs import DistillationRun
from atesc_core.vocabulary import METRIC_SETTING, SETTING_NAMES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui import elements
from pages.shared.ui.run_labels import method_name, time_ago
from pages.shared.ui.run_search import find_runs

DEFAULT_SPECS = 8  # number of specs that are compared while no run is ticked
GROUP_SPECS = 20  # the same where the list has the runs of one group
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
VISIBLE_FILTERS = 4  # the others are in a popover


def choose_runs() -> list[str]:
    """Draw the filters and the list; return the ids of the runs to compare. If there are none, draw what to do."""
    linked = _linked_runs()
    # Trials of a threshold are many and short: the list has only the trials in the link.
    runs = [run for run in run_store().distillations(include_forks=True) if not run.fork or run.id in linked]
    if not runs:
        _empty_page("No runs yet", "Distil two students of one teacher, say plain and with ATEsc, and come back here.")
        return []
    with (
        elements.hidden_when_presenting("runs"),
        elements.card(
            "Runs", f"Tick any; without a tick, the newest {_default_specs()} specs of the list are compared"
        ),
    ):
        listed = _filtered(find_runs(runs, width=260))
        ticked = _run_list(runs, listed) if listed else set()
    if not listed:
        elements.empty_state("No run passes these filters", "Take one of the filters above away, or the words to find.")
        return []
    chosen = [run for run in listed if run.id in ticked] or _newest(listed)
    if not any(run.metrics for run in chosen):
        _empty_page("Nothing measured yet", "A run can be compared from the end of its first epoch.")
        return []
    return [run.id for run in chosen]


def _linked_runs() -> set[str]:
    """Ids of the runs in the link."""
    return set(filter(None, st.query_params.get("runs", "").split(",")))


def linked_group() -> str | None:
    """The group in the link, if it names one alone."""
    groups = st.query_params.get_all("only.group")
    return groups[0] if len(groups) == 1 else None


def _default_specs() -> int:
    return GROUP_SPECS if linked_group() else DEFAULT_SPECS


def _newest(runs: Sequence[DistillationRun]) -> list[DistillationRun]:
    """The runs of the first specs that have a measured run, of a group also of the others; see `_default_specs`."""
    compared = [run for run in runs if run.metrics or linked_group()]
    specs = list(dict.fromkeys(comparison.without_seed(run.spec) for run in compared))[: _default_specs()]
    return [run for run in runs if comparison.without_seed(run.spec) in specs]


def _empty_page(title: str, next_step: str) -> None:
    with elements.empty_state(title, next_step), st.container(horizontal=True, horizontal_alignment="center"):
        st.page_link("distill/page.py", label="Distil a student", icon=":material/experiment:")
        st.page_link("start/page.py", label="Run the story", icon=":material/home:")


# ── filters ─────────────────────────────────────────────────────────────────────────────────────────


def _filtered(runs: Sequence[DistillationRun]) -> list[DistillationRun]:
    """Draw a filter for each field in which the runs differ; return the runs that pass all filters."""
    values = _filter_values(runs)
    fields = [field for field, texts in values.items() if len(set(texts)) > 1]
    *slots, more_slot = st.columns([*[3] * min(len(fields), VISIBLE_FILTERS), 2], vertical_alignment="bottom")
    passing = [True] * len(runs)
    with more_slot.popover(
        "More", icon=":material/filter_list:", width="stretch", disabled=not fields[VISIBLE_FILTERS:]
    ):
        slots += [st.container() for _ in fields[VISIBLE_FILTERS:]]
    for field, slot in zip(fields, slots, strict=True):
        options = STATUSES if field == "status" else sorted(set(values[field]), key=_sort_key)
        selected = slot.multiselect(
            FILTERS.get(field, field), options, key=f"only.{field}", bind="query-params", placeholder="any"
        )
        if selected:
            passing = [passes and text in selected for passes, text in zip(passing, values[field], strict=True)]
    return [run for run, passes in zip(runs, passing, strict=True) if passes]


def _filter_values(runs: Sequence[DistillationRun]) -> dict[str, list[str]]:
    """Field of the run or its spec -> the text of each run's value; the most used filters first."""
    run_fields: dict[str, Callable[[DistillationRun], str]] = {
        "setting": _setting_name,
        "status": lambda run: run.status,
        "group": lambda run: run.group or "–",
    }
    specs = [comparison.spec_fields(run.spec) for run in runs]
    varying = comparison.varying_fields([run.spec for run in runs])
    return {
        field: [
            run_fields[field](run) if field in run_fields else comparison.value_text(spec.get(field))
            for run, spec in zip(runs, specs, strict=True)
        ]
        for field in (*FILTERS, *(field for field in varying if field not in FILTERS))
    }


def _sort_key(value: str) -> tuple[bool, float, str]:
    """Sorts numbers by size, before texts."""
    try:
        return False, float(value), ""
    except ValueError:
        return True, 0.0, value


# ── the list ────────────────────────────────────────────────────────────────────────────────────────


def _run_list(runs: Sequence[DistillationRun], listed: Sequence[DistillationRun]) -> set[str]:
    """Draw the list with a box for each run; return the ids of all ticked runs, also of those not in the list."""
    linked, known = _linked_runs(), {run.id for run in runs}
    if unknown := len(linked - known):
        elements.notice(
            "warning",
            f"Not here: {unknown} of the {len(linked)} runs that the link names. They may have been deleted, or "
            "the link comes from another lab.",
            icon=":material/link_off:",
        )
    ids = [run.id for run in listed]
    key = theme.trace_id("ticks", *ids)  # Streamlit stores ticks by row number, so another list needs another key

    def write_to_link() -> None:
        ticked = [ids[row] for row in st.session_state[key]["selection"]["rows"]]
        selected = [run_id for run_id in sorted(linked & known) if run_id not in ids] + ticked
        if selected:
            st.query_params["runs"] = ",".join(selected)
        else:
            st.query_params.pop("runs", None)

    accuracy = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(
        _table(listed),
        key=key,
        on_select=write_to_link,
        selection_mode="multi-row",
        hide_index=True,
        selection_default={"selection": {"rows": [row for row, run_id in enumerate(ids) if run_id in linked]}},
        height=min(280, 38 + 35 * len(listed)),
        row_height=35,
        alt=f"{len(listed)} runs to tick",
        column_config={
            "Name": st.column_config.TextColumn(width=160),
            "Tags": st.column_config.TextColumn(width=100),
            "IAcc": accuracy,
            "On OOD": accuracy,
        },
        placeholder="–",
    )
    return linked & known


def _table(listed: Sequence[DistillationRun]) -> pd.DataFrame:
    """A row for each run; without the columns of names, tags and groups that say nothing."""
    table = pd.DataFrame(
        [
            {
                "Name": run.label or "",
                "Teacher": run.spec.teacher,
                "Method": method_name(run.spec),
                "Seed": run.spec.seed,
                "Status": run.status,
                "Measured": f"epoch {run.measured_epoch} of {run.epochs}" if run.metrics else "–",
                "Setting": _setting_name(run),
                "IAcc": run.metrics.get("iacc"),
                "On OOD": next((run.metrics[name] for name in METRIC_SETTING if name in run.metrics), None),
                "Tags": ", ".join(run.tags),
                "Group": run.group or "",
                "When": time_ago(run.created),
                "Run": run.id,
            }
            for run in listed
        ]
    )
    empty = [name for name in ("Name", "Tags") if not table[name].any()]
    return table.drop(columns=empty + (["Group"] if table["Group"].nunique() == 1 else []))


def _setting_name(run: DistillationRun) -> str:
    """close-set, open-set or backdoor, by the metric on OOD images; a dash if neither run nor teacher has one."""
    card = cards().get(run.spec.teacher)
    metrics = run.metrics or (card.metrics if card else {})
    return next((SETTING_NAMES[setting] for metric, setting in METRIC_SETTING.items() if metric in metrics), "–")
