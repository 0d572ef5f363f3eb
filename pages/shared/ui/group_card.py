"""The card of a group of runs: progress, time left, and what is done with all of its runs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from atesc_core.errors import UnknownRunError
from atesc_core.runs.group import RunGroup
from pages.shared.data.cost import all_seconds
from pages.shared.data.store import run_store
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.polling import poll
from pages.shared.ui.run_labels import count_runs

EVERY_S = 2.0
COMPARE_LINK = {"colour": "setting"}  # how Compare shows a group, beside its name


def group_card(name: str, *, with_link: bool = True) -> None:
    """Draw the group's card, updated while its runs may change; nothing if it has fewer than two runs.

    Call it outside fragments.

    Args:
        name: the group.
        with_link: whether to link to the page Compare.
    """
    group = find_group(name)
    if group is None or len(group.runs) < 2:
        return
    measured = any(run.metrics for run in group.runs)

    def show() -> bool:
        current = find_group(name)
        if current is None:
            return False
        if not measured and any(run.metrics for run in current.runs):
            st.rerun()  # from now on, there is something to compare
        _show(current, with_link)
        return not current.ended

    with st.container(border=True, key="group"):
        poll(show, not group.ended, every_s=EVERY_S)


def find_group(name: str) -> RunGroup | None:
    """The group of this name; None if all of its runs have been deleted."""
    try:
        return run_store().group(name)
    except UnknownRunError:
        return None


def _show(group: RunGroup, with_link: bool) -> None:
    store = run_store()
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        elements.row(elements.bold(group.name), elements.muted(f"group of {count_runs(len(group.runs))}"))
        elements.row(
            *(elements.status_chip(status, number) for status, number in group.counts.items()),
            elements.muted(_time_left(group)),
        )
        if not group.ended:
            st.html(elements.progress_bar(group.progress))
    with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if group.active:
            _button("Pause all", "pause", store.pause_group, group)
        if any(run.status in ("paused", "stopped", "interrupted", "failed") for run in group.runs):
            _button("Resume all", "play_arrow", store.resume_group, group)
        if not group.ended:
            _button("Stop all", "stop", store.stop_group, group)
        if with_link:
            elements.page_button(
                "compare/page.py",
                "Open in Compare",
                icon=":material/compare:",
                query_params={"only.group": group.name} | COMPARE_LINK,
            )


def _button(label: str, icon: str, action: Callable[[str], None], group: RunGroup) -> None:
    action_button(label, icon=f":material/{icon}:", key=f"{label} {group.name}", on_click=action, args=(group.name,))


def _time_left(group: RunGroup) -> str:
    """``about 12 min left``; empty if nothing runs or waits, or before the first speed is known."""
    if not group.active:
        return ""
    seconds = group.eta_s
    if seconds is None:
        seconds = all_seconds([run.spec for run in group.runs if run.active])
    return "time left not known yet" if seconds is None else f"about {formats.duration(seconds)} left"
