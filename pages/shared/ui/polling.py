"""Parts of a page that are redrawn every few seconds while their content may change."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable

import streamlit as st

from atesc_core.errors import UnknownRunError
from atesc_core.runs import AnyRun, Run
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.ui import elements


def is_live(run: Run) -> bool:
    """Whether the run may change without a new start: it is active or paused."""
    return run.active or run.status == "paused"


def poll(show: Callable[[], bool], changing: bool, every_s: float = 1.0) -> None:
    """Call ``show`` now, and again every few seconds while ``changing``, without rerunning the rest of the page.

    ``show`` runs in a fragment: widgets that it draws rerun only the fragment.

    Args:
        show: draws, and returns whether its content may still change. If the result differs from ``changing``, the
            whole page runs once more, and polling starts or ends.
        changing: whether to poll.
        every_s: seconds between two calls.
    """

    @st.fragment(run_every=every_s if changing else None)
    def fragment() -> None:
        url.restore_parameters()
        if show() != changing:
            st.rerun()

    fragment()
    _freeze_modules(show.__module__)


@st.cache_resource(show_spinner=False)
def _freeze_modules(page: str) -> None:
    """Exclude the loaded modules from garbage collection: it took up to 0.3 s while the user dragged. Once per page."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def watch_run(run: AnyRun, panel: Callable[[AnyRun], bool | None]) -> None:
    """Draw ``panel`` for the run, and redraw it while it may change.

    Args:
        run: The run.
        panel: Draws, and returns whether it waits for something else than the run.
    """
    waiting_key = f"panel waits {run.id}"

    def show() -> bool:
        try:
            current = run_store().refresh(run)
        except UnknownRunError:
            elements.notice("info", "This run has been deleted.", icon=":material/delete:")
            return False
        waiting = bool(panel(current))
        st.session_state[waiting_key] = waiting
        return is_live(current) or waiting

    poll(show, is_live(run) or st.session_state.get(waiting_key, False))
