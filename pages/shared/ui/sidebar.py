"""What every page shows at its side: whose lab this is, what it runs on, and what it is busy with."""

from collections.abc import Sequence

import streamlit as st

from atesc_core import paths
from atesc_core.runs import Run
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.ui import appearance, elements, formats, presentation
from pages.shared.ui.run_labels import run_link

SHOWN = 4  # runs; the rest is a number
LATEST = 50  # runs among which one on the device is looked for


def sidebar(pages: Sequence[st.Page]) -> None:
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
        _now()
    presentation.stop_controls()


@st.fragment(run_every=2)
def _now() -> None:
    """This machine and its queue; a fragment, so that it moves while the page beside it stays.

    It is also the first to hear that the visitor changed the theme, in which figures and the logo are drawn.
    """
    if st.session_state.setdefault("mode", appearance.mode()) != appearance.mode():
        st.session_state.mode = appearance.mode()
        st.rerun()
    device = machine()
    store = run_store()
    on_device = [run for run in store.all_runs(LATEST, include_forks=True) if run.status in ("running", "paused")]
    runs = on_device + store.queue()
    with st.container(gap="xxsmall"):
        elements.label("This machine")
        elements.row(device.summary if device else elements.muted("Asking PyTorch …"))
    with st.container(gap="xsmall", key="queue"):
        elements.label("Queue")
        if not runs:
            elements.row(elements.muted("Empty"))
        for run in runs[:SHOWN]:
            _row(run)
        if len(runs) > SHOWN:
            elements.row(elements.muted(f"and {len(runs) - SHOWN} more"))


def _row(run: Run) -> None:
    with st.container(gap="xxsmall"):
        st.page_link(label=run.label or run.teacher, **run_link(run))
        elements.row(elements.status_chip(run.status), elements.muted(_where(run)))
        if run.status in ("running", "paused"):
            st.html(elements.progress_bar(run.progress))


def _where(run: Run) -> str:
    if run.queue_position is not None:
        return f"place {run.queue_position} in line"
    left = f" · {formats.duration(run.eta_s)} left" if run.eta_s is not None else ""
    return f"epoch {run.epoch}/{run.epochs}{left}"
