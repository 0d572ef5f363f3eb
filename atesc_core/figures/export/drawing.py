"""Sheets drawn in the background, as jobs of ``atesc_core.jobs``."""

from __future__ import annotations

import threading
from collections.abc import Callable

from atesc_core import jobs
from atesc_core.figures.export.browser import close_browser
from atesc_core.figures.export.sheet import Sheet


def start_drawing(key: str, draw: Callable[[threading.Event], Sheet]) -> jobs.ThreadJob[Sheet]:
    """Draw a sheet in a thread, as the job of this key; if that job is active, return it.

    The browser cannot be interrupted, so a stop closes it. Other drawings then start again in a new browser.

    Args:
        key: The name of the drawing.
        draw: Draws the sheet. It must end once its argument, an event, is set, as ``browser.draw`` does.
    """

    def draw_sheet(job: jobs.ThreadJob[Sheet]) -> Sheet:
        job.report(0, "in the browser")
        return draw(job.stop_requested)

    return jobs.start_thread(key, draw_sheet, on_stop=_close_browser_soon, queue="short")


def find_drawing(key: str) -> jobs.ThreadJob[Sheet] | None:
    """The last drawing of this key, active or ended; None if there is none or it ended long ago."""
    job = jobs.find(key)
    return job if isinstance(job, jobs.ThreadJob) else None


def _close_browser_soon() -> None:
    """Close the browser in a thread, because that takes a while."""
    threading.Thread(target=lambda: close_browser(at_once=True), name="figure-stop", daemon=True).start()
