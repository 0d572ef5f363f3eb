"""The sidebar of every page: the menu, the buttons for sharing, this machine and its queue."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from atesc_core import paths
from atesc_core.errors import StoreError
from atesc_core.runs import Run, ensure_worker
from pages.shared.access import SIGN_OUT, access
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.state.visitor import may_change
from pages.shared.ui import appearance, elements, formats, presentation
from pages.shared.ui.run_labels import queue_position, run_link, slots_text

MAX_ROWS = 4  # runs of the queue that are shown; for the others only their number


def sidebar(pages: Sequence[st.Page]) -> None:
    """Draw the sidebar, with a menu of these pages."""
    st.logo(
        str(paths.ASSETS / "appearance" / f"wordmark-{appearance.mode()}.svg"),
        icon_image=str(paths.ASSETS / "appearance" / "mark.svg"),
        size="large",
    )
    with st.sidebar:
        with st.container(key="menu", gap="xsmall"):
            for page in pages:
                st.page_link(page, width="stretch")
        presentation.start_controls()
        _machine_and_queue()
        _visitor()
    presentation.stop_controls()


def _visitor() -> None:
    """Draw what this visitor may do if that is not everything, and a button to sign out of an account."""
    if not may_change():
        with st.container(gap="xxsmall"):
            elements.label("You")
            elements.row(elements.chip("look only"), elements.muted("nothing can be started or changed"))
    if access().by_provider:
        st.button("Sign out", icon=":material/logout:", on_click=st.logout, type="tertiary")
    elif access().tokens:
        st.html(f'<a class="atesc atesc-quiet" style="color: inherit" href="{SIGN_OUT}" target="_self">Sign out</a>')


@st.fragment(run_every=2)
def _machine_and_queue() -> None:
    """Draw this machine and its queue, in a fragment that updates without a rerun of the page.

    It also reruns the page after the visitor has changed the theme, so that figures and the logo change too.
    """
    if st.session_state.setdefault("mode", appearance.mode()) != appearance.mode():
        st.session_state.mode = appearance.mode()
        st.rerun()
    device = machine()
    store = run_store()
    queued = store.queue()
    runs = store.on_device() + queued
    with st.container(gap="xxsmall"):
        elements.label("This machine")
        elements.row(device.summary if device else elements.muted("Asking PyTorch …"))
        if device:
            elements.row(elements.muted(slots_text(device)))
    with st.container(gap="xsmall", key="queue"):
        elements.label("Queue")
        if queued and store.database.writable:  # a worker may have died, with nobody on the page of its run
            try:
                ensure_worker(store.runs_dir)
            except StoreError as error:
                elements.notice("warning", f"{error}.", icon=":material/error:")
        if not runs:
            elements.row(elements.muted("Empty"))
        for run in runs[:MAX_ROWS]:
            _queue_row(run)
        if len(runs) > MAX_ROWS:
            elements.row(elements.muted(f"and {len(runs) - MAX_ROWS} more"))


def _queue_row(run: Run) -> None:
    with st.container(gap="xxsmall"):
        name = run.label or f"{run.teacher} · seed {run.spec.seed}"
        st.page_link(label=elements.plain(name), **run_link(run))
        elements.row(elements.status_chip(run.status), elements.muted(_position(run)))
        if run.status in ("running", "paused"):
            st.html(elements.progress_bar(run.progress))


def _position(run: Run) -> str:
    """A waiting run's position in the queue; for a run on the device, its progress and the time left."""
    if place := queue_position(run):
        return place[0]
    left = f" · {formats.duration(run.eta_s)} left" if run.eta_s is not None else ""
    return f"epoch {run.epoch}/{run.epochs}{left}"
