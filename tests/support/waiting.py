"""Waiting on what happens, never for how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], at_most_s: float = 120.0) -> T:
    """What ``condition`` returns once it is true. Fails the test where it never is."""
    end = time.monotonic() + at_most_s
    while not (value := condition()):
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.01)
    return value
