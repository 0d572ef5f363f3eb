"""The latest runs of this lab, one per line."""

from __future__ import annotations

import streamlit as st

from atesc_core.runs import Run
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data.store import run_store
from pages.shared.ui import elements, formats
from pages.shared.ui.polling import is_live
from pages.shared.ui.run_labels import method_name, run_page, time_ago

MAX_RUNS = 8


def any_run_live() -> bool:
    """Whether any of the latest runs may still change."""
    return any(map(is_live, run_store().all_runs(MAX_RUNS)))


def show_latest_runs() -> bool:
    """Draw the latest runs; return whether any of them may still change."""
    runs = run_store().all_runs(MAX_RUNS)
    if not runs:
        elements.empty_state("No runs yet", "Run the story above, or distil a student of your own.")
        return False
    name, rest = st.columns([2, 5])
    with name:  # same indent as the links below
        st.html('<div class="atesc atesc-quiet" style="padding-left:.5rem">Teacher</div>')
    with rest:
        _row(*map(elements.muted, ("Method", "Status", "IAcc", "On OOD", "When")))
    for run in runs:
        name, rest = st.columns([2, 5], vertical_alignment="center")
        with name:
            st.page_link(run_page(run), label=elements.plain(run.teacher), query_params={"run": run.id})
        with rest:
            _row(
                method_name(run.spec),
                elements.status_chip(run.status),
                *_accuracies(run),
                elements.muted(time_ago(run.created)),
            )
    if unreadable := list(run_store().unreadable()):
        elements.caption(
            f"Not listed: {len(unreadable)} made by another version, whose settings this one does not know, or damaged "
            f"({', '.join(unreadable[:MAX_RUNS])}{', …' if len(unreadable) > MAX_RUNS else ''})."
        )
    return any(map(is_live, runs))


def _accuracies(run: Run) -> tuple[str | elements.Html, str | elements.Html]:
    """IAcc and the metric on OOD images, of the last measured epoch."""
    metric = next((name for name in METRIC_NAMES if name != "iacc" and name in run.metrics), None)
    if metric is None:
        return elements.muted("–"), elements.muted("–")
    return (
        elements.swatch("id", f"{formats.per_cent(run.metrics['iacc'])} %"),
        elements.swatch("ood", f"{METRIC_NAMES[metric]} {formats.per_cent(run.metrics[metric])} %"),
    )


def _row(*cells: str | elements.Html) -> None:
    inside = "".join(f"<div>{elements.as_html(cell)}</div>" for cell in cells)
    st.html(f'<div class="atesc atesc-runs">{inside}</div>')
