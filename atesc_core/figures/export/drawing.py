"""A sheet while it is being drawn: in a thread, seen by all who wait for it, stopped by any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Literal

from atesc_core.errors import DrawingStopped
from atesc_core.figures.export.browser import close_browser
from atesc_core.figures.export.sheet import Sheet


class Drawing:
    """What ``make`` draws; it is given an event, at which it is to raise Stopped, and begins at once."""

    def __init__(self, make: Callable[[threading.Event], Sheet]) -> None:
        self._make = make
        self.begin()

    def begin(self) -> None:
        """Draw it: again, where it was stopped or failed."""
        self._began, self._stop, self._sheet = time.monotonic(), threading.Event(), Future()
        threading.Thread(target=self._draw, args=(self._stop, self._sheet), name="figure-drawing", daemon=True).start()

    def _draw(self, stop: threading.Event, sheet: Future) -> None:
        try:
            sheet.set_result(self._make(stop))
        except BaseException as error:  # noqa: BLE001 - it is raised where the sheet is asked for
            sheet.set_exception(error)

    def wait(self, timeout_s: float) -> None:
        """Until it has ended, or for so long."""
        wait([self._sheet], timeout_s)

    @property
    def state(self) -> Literal["running", "done", "stopped", "failed"]:
        if not self._sheet.done():
            return "stopped" if self._stop.is_set() else "running"
        error = self._sheet.exception()
        return "done" if error is None else "stopped" if isinstance(error, DrawingStopped) else "failed"

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def sheet(self) -> Sheet:
        """Once it has ended. Raises what the drawing raised."""
        return self._sheet.result()

    def stop(self) -> None:
        """The browser cannot be called off, so it is closed; what others draw begins again in the next one."""
        if self.state == "running":
            self._stop.set()
            threading.Thread(target=partial(close_browser, at_once=True), name="figure-stop", daemon=True).start()
