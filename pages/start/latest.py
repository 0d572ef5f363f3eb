"""The latest runs, a line each."""

import streamlit as st

from atesc_core.figures.theme import METRIC_NAMES
from atesc_core.runs import Run
from pages.shared.data.store import run_store
from pages.shared.state.run_choice import PAGES, may_change, method, when
from pages.shared.ui import look

SHOWN = 8
CELLS = "grid-template-columns:5fr 5fr 4fr 5fr 4fr;display:grid;align-items:center;gap:.75rem;white-space:nowrap"


def latest_runs() -> bool:
    """The newest runs; whether any of them may still change."""
    runs = run_store().list(SHOWN, makes=None)
    if not runs:
        look.empty("No runs yet", "Run the story above, or distil a student of your own.")
        return False
    name, rest = st.columns([2, 5])
    with name:
        st.html('<div class="atesc atesc-quiet" style="padding-left:.5rem">Teacher</div>')  # as a link is
    with rest:
        _row(*map(look.quiet, ("Method", "Status", "IAcc", "On OOD", "When")))
    for run in runs:
        name, rest = st.columns([2, 5], vertical_alignment="center")
        with name:
            st.page_link(PAGES[run.makes], label=run.teacher, query_params={"run": run.id})
        with rest:
            _row(method(run.spec), look.status(run.status), *_accuracies(run), look.quiet(when(run.created)))
    if hidden := run_store().unreadable():
        look.caption(
            f"Not listed: {len(hidden)} made by another version, whose settings this one does not know "
            f"({', '.join(list(hidden)[:SHOWN])}{', …' if len(hidden) > SHOWN else ''})."
        )
    return any(map(may_change, runs))


def _accuracies(run: Run) -> tuple[str | look.Html, str | look.Html]:
    """IAcc, and what is reported on the OOD side, each of the last epoch that was measured."""
    metric = next((name for name in METRIC_NAMES if name != "iacc" and name in run.metrics), None)
    if metric is None:
        return look.quiet("–"), look.quiet("–")
    return (
        look.swatch("id", f"{look.per_cent(run.metrics['iacc'])} %"),
        look.swatch("ood", f"{METRIC_NAMES[metric]} {look.per_cent(run.metrics[metric])} %"),
    )


def _row(*cells: str | look.Html) -> None:
    inside = "".join(f"<div>{look.text(cell)}</div>" for cell in cells)
    st.html(f'<div class="atesc" style="{CELLS}">{inside}</div>')
