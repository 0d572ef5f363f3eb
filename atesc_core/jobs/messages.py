"""What the process of a job prints on stdout: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        share: Part of the work that is done, 0 to 1.
        message: What the job does now, in words.
        expected_s: Seconds that what begins now is expected to take, for work that cannot report its own progress.
    """

    share: float
    message: str
    expected_s: float | None = None


@dataclass(frozen=True)
class Result:
    """What a job found: any value that JSON can hold."""

    value: object


def report_progress(share: float, message: str, expected_s: float | None = None) -> None:
    """Report how far this process is to the job that started it; see ``Progress``."""
    progress: dict[str, object] = {"share": share, "message": message}
    if expected_s is not None:
        progress["expected_s"] = expected_s
    print(json.dumps(progress), flush=True)


def report_result(value: object) -> None:
    """Hand a small result, any value that JSON can hold, to the job that started this process."""
    print(json.dumps({"result": value}), flush=True)


def parse(line: str) -> Progress | Result | None:
    """What a line of a job's stdout says; None for a line that a library printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if "result" in message:
        return Result(message["result"])
    if "share" not in message:
        return None
    return Progress(message["share"], message.get("message", ""), message.get("expected_s"))
