"""Sizes of the runs folder and of each run, with buttons that delete, thin, and empty the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from atesc_core import jobs
from atesc_core.errors import StoreError
from atesc_core.runs.storage import Limits, folder_size, free_bytes
from pages.shared.data.store import run_store
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.run_labels import count_runs, time_ago
from pages.shared.ui.run_search import find_runs
from pages.shared.uploads import held_bytes, max_bytes

if TYPE_CHECKING:
    from atesc_core.runs import Run

SIZES = {"Images": "images", "Students": "students", "Trials": "fork_points", "Total": "total"}


def show_storage() -> None:
    """Draw the page."""
    elements.header("Storage", "What this lab has on the disk, and how to make room.")
    store = run_store()
    runs = store.all_runs(include_forks=True)
    _bounds(sum(run.status == "queued" for run in runs))
    with elements.card("Runs", "tick any; largest first; sizes in MB"):
        if not runs:
            elements.empty_state("No runs", "A run's images, students and checkpoints are listed here.")
        else:
            _runs(runs)
    with elements.card("Cache", "reports on teachers, maps, students' outputs: all of it can be computed again"):
        _cache()


def _bounds(queued: int) -> None:
    limits, folder = Limits.of_environment(), run_store().runs_dir
    elements.tiles(
        elements.tile("Runs folder", _megabytes(folder_size(folder)), "MB", measured_on=_bound(limits.runs_gb)),
        elements.tile("Free on its disk", formats.amount(free_bytes(folder) / 1e9), "GB"),
        elements.tile(
            "Runs in line", formats.count(queued), measured_on=f"at most {formats.count(limits.queued_runs)}"
        ),
        elements.tile(
            "Jobs in line",
            formats.count(sum(job.state == "queued" for job in jobs.active())),
            measured_on=f"at most {jobs.MAX_WAITING} of a kind",
        ),
        elements.tile(
            "Uploads held", _megabytes(held_bytes()), "MB", measured_on=f"at most {_megabytes(max_bytes())} MB"
        ),
    )
    elements.caption(f"Folder {folder}. Whoever starts the server sets the bounds: see Bounds in the user guide.")


def _bound(runs_gb: float | None) -> str:
    return "no bound but the disk" if runs_gb is None else f"at most {formats.amount(runs_gb * 1000)} MB"


def _runs(runs: list[Run]) -> None:
    store, runs = run_store(), find_runs(runs, width=260)
    if not runs:
        elements.caption("No run has these words.")
    sizes = {run.id: store.size(run.id) for run in runs}
    runs = sorted(runs, key=lambda run: -sizes[run.id].total)
    table = pd.DataFrame(
        {
            "Run": [run.label or run.id for run in runs],
            "Teacher": [run.teacher for run in runs],
            "Status": [run.status for run in runs],
            **({"Tags": [", ".join(run.tags) for run in runs]} if any(run.tags for run in runs) else {}),
            "Ended": [time_ago(run.finished) if run.finished else "" for run in runs],
        }
        | {name: [getattr(sizes[run.id], field) / 1e6 for run in runs] for name, field in SIZES.items()}
    )
    order = hash(tuple(_ids(runs)))  # ticks are rows: where other runs stand in these, a new table without ticks
    event = st.dataframe(
        table,
        key=f"storage table {order}",
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={name: st.column_config.NumberColumn(format="%.1f", width="small") for name in SIZES},
    )
    chosen = [runs[row] for row in event.selection.rows if row < len(runs)]
    size = sum(sizes[run.id].total for run in chosen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover("Delete", icon=":material/delete:", disabled=not chosen, key=f"delete runs {order}"):
            st.text(f"{count_runs(len(chosen))}, {_megabytes(size)} MB: curves, images, students, everything.")
            action_button("Delete for good", type="primary", on_click=_for_each, args=("delete", _ids(chosen)))
        action_button(
            "Thin",
            icon=":material/compress:",
            disabled=not chosen,
            help="Deletes images and students of all epochs but first and last, and trial checkpoints; curves stay",
            on_click=_for_each,
            args=("thin", _ids(chosen)),
        )
        st.caption(
            f"{count_runs(len(chosen))} ticked, {_megabytes(size)} MB" if chosen else "Nothing ticked", width="content"
        )
    for kind, text in st.session_state.pop("storage outcome", []):
        elements.notice(kind, text, icon=":material/error:" if kind == "error" else ":material/check:")


def _for_each(action: str, run_ids: list[str]) -> None:
    """Delete or thin runs; keeps what was freed, and each refusal, to be shown."""
    store, freed, outcome = run_store(), 0, []
    for run_id in run_ids:
        try:
            before = store.size(run_id).total
            (store.delete if action == "delete" else store.thin)(run_id)
            freed += before - store.size(run_id).total
        except StoreError as error:
            outcome.append(("error", f"{error}."))
    outcome.append(("info", f"{_megabytes(freed)} MB freed."))
    st.session_state["storage outcome"] = outcome


def _cache() -> None:
    folder = run_store().runs_dir / "cache"
    size = folder_size(folder)
    left, right = st.columns([5, 1.2], vertical_alignment="center")
    with left:
        elements.row(elements.bold(f"{_megabytes(size)} MB"), elements.muted("in the cache"))
    action_button(
        "Empty",
        place=right,
        icon=":material/delete_sweep:",
        disabled=not size,
        width="stretch",
        on_click=shutil.rmtree,
        args=(folder, True),
    )


def _ids(runs: list[Run]) -> list[str]:
    return [run.id for run in runs]


def _megabytes(size: int) -> str:
    return formats.amount(size / 1e6)
