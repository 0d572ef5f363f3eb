"""Waiting for a condition, instead of a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], at_most_s: float = 120.0) -> T:
    """Wait until ``condition`` returns a true value; return it. The test fails after ``at_most_s`` seconds."""
    end = time.monotonic() + at_most_s
    while not (value := condition()):
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.01)
    return value
