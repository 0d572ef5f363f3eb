"""Parts of a page that draw themselves again as long as what they show may change."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable

import streamlit as st

from atesc_core.errors import UnknownRunError
from atesc_core.runs import AnyRun, Run, ensure_worker
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.ui.uncaught_errors import handle_uncaught_errors


def is_live(run: Run) -> bool:
    """Whether a page polls the run: it moves, or somebody may let it go on."""
    return run.active or run.status == "paused"


def poll(show: Callable[[], bool], changing: bool, every_s: float = 1.0) -> None:
    """Call ``show`` now, and again every few seconds as long as things change, without touching the page around it.

    It is a fragment: its widgets rerun only itself.

    Args:
        show: draws, and returns whether what it drew may still change. When that differs from ``changing``, the whole
            page runs once more, and polling begins or ends.
        changing: whether to poll.
        every_s: seconds between two calls.
    """

    @st.fragment(run_every=every_s if changing else None)
    def fragment() -> None:
        handle_uncaught_errors()  # app.py does not run where the fragment runs again by itself
        url.restore_parameters()
        if show() != changing:
            st.rerun()

    fragment()
    _settle(show.__module__)


@st.cache_resource(show_spinner=False)
def _settle(page: str) -> None:
    """Take a page's loaded modules out of garbage collection: walking through them all took up to 0.3 s in a drag."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def watch_run(run: AnyRun, panel: Callable[[AnyRun], None]) -> None:
    """Draw ``panel`` of the run as it is now, again and again as long as it may change; a queued run gets a worker."""

    def show() -> bool:
        try:
            now = run_store().refresh(run)
        except UnknownRunError:
            st.info("This run has been deleted.", icon=":material/delete:")
            return False
        if now.status == "queued":
            ensure_worker(run_store().runs_dir)
        panel(now)
        return is_live(now)

    poll(show, is_live(run))
